"""The few numbers that a verdict needs, in one forward and one backward pass: for scans of many networks.

Left out are Jacobians, the gradient quotient, the gradients of parameters, and the number of distinct units where there
is more than one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from winit_cli.probe.activity import activity
from winit_cli.probe.arrays import mean_square
from winit_cli.probe.calling import Loss, check_examples, loss_of
from winit_cli.probe.gradients import Gradients, gradient_rows, gradients_of, weight_gradients
from winit_cli.probe.layers import in_branches
from winit_cli.probe.measure import place_of
from winit_cli.probe.measured import Measured
from winit_cli.probe.memory import memory_rows
from winit_cli.probe.observe import observed
from winit_cli.probe.remembered import remembered
from winit_cli.probe.units import has_one_unit, symmetry
from winit_cli.probe.untouched import untouched


def measure_quickly(module: nn.Module, x: Tensor, y: Tensor | None, loss: Loss, *key: str | int) -> Measured:
    """As ``winit_cli.probe.measure.measure``, with fewer rows and equal numbers in them.

    Raises:
        UsageError: the module has no layer that was called, its output is no tensor, all examples are equal, or the
            loss does not depend on what trains.
        ForeignError: the module or the loss raised an error.
    """
    with torch.inference_mode(False), torch.enable_grad(), untouched(module, *key):
        observer, out = observed(module, x)
        check_examples(x)
        layers, depths = observer.layers, observer.depths
        gradients = gradients_of(loss_of(loss, out, y), layers, module)
        memories = {layer: remembered(layer, gradients) for layer in layers if layer.is_recurrent}
        of_weights = weight_gradients(gradients, layers, depths)
        of_one_unit = {layer: found for layer, found in of_weights.items() if has_one_unit(layer.module)}
        rows = [*activity(layers, x), *gradient_rows(Gradients(gradients.given, {}), layers, depths)]
        rows += [*symmetry(of_one_unit), *memory_rows(memories)]
    branches = in_branches(module)
    places = tuple(place_of(layer, gradients, memories.get(layer), branches) for layer in layers)
    return Measured(places, mean_square(x), tuple(rows), into_head=layers[-1].given)
