"""All measurements of one module with the weights it has.

Depth counts the hidden layers from 1 in the order in which they are called; the last layer is the head. What belongs to
the whole module (Jacobian, gradient quotient) stands in the head's rows.
"""

from __future__ import annotations

from collections.abc import Container

import torch
from torch import Tensor, nn

from winit_cli.probe.activity import activity
from winit_cli.probe.arrays import mean_square
from winit_cli.probe.calling import Loss, check_examples, loss_of
from winit_cli.probe.gradients import Gradients, gradient_rows, gradients_of, weight_gradients
from winit_cli.probe.histograms import gate_bins, gradient_bins, jacobian_bins, signal_bins, weight_bins
from winit_cli.probe.layer_jacobian import layer_jacobian_rows
from winit_cli.probe.layers import Layer, in_branches
from winit_cli.probe.measured import Bin, Measured, Place, order
from winit_cli.probe.memory import Memory, memory_rows
from winit_cli.probe.observe import observed
from winit_cli.probe.remembered import remembered
from winit_cli.probe.sensitivity import jacobian, jacobian_rows, quotient_row
from winit_cli.probe.units import symmetry
from winit_cli.probe.untouched import holding_statistics, untouched
from winit_cli.schemes.quotient import twice_differentiable


def measure(
    module: nn.Module, x: Tensor, y: Tensor | None, loss: Loss, *key: str | int, count_values: bool = False
) -> Measured:
    """Measure a module on the examples x (B, …), targets y and ``loss(output, y)``, the mean over them; see
    ``untouched`` for ``key`` and for what the module is afterwards. Dropout layers are off, batch norms see these B
    examples. The gradient quotient and what is seen step by step in time are of the first 64, the Jacobian of the first
    8. ``count_values`` asks for histograms.

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
        of_weights = weight_gradients(gradients, layers, depths)
        memories = {layer: remembered(layer, gradients) for layer in layers if layer.is_recurrent}
        with twice_differentiable(module):
            with holding_statistics(module):
                spectrum = jacobian(module, layers[0], x)
                of_layers = list(layer_jacobian_rows(module, layers, x))
            quotient = quotient_row(module, layers[-1], x, y, loss)
        rows = [*activity(layers, x), *gradient_rows(gradients, layers, depths), *memory_rows(memories)]
        rows += [*of_layers, *symmetry(of_weights), *jacobian_rows(spectrum, layers[-1]), quotient]
        bins: list[Bin] = []
        if count_values:
            bins += [*weight_bins(module, layers, depths), *signal_bins(layers, len(x)), *gradient_bins(of_weights)]
            bins += [*gate_bins(memories), *jacobian_bins(spectrum, layers[-1])]
    rows.sort(key=lambda row: (row.depth, order(row.metric)))
    bins.sort(key=lambda one: one.depth)
    branches = in_branches(module)
    places = tuple(place_of(layer, gradients, memories.get(layer), branches) for layer in layers)
    return Measured(places, mean_square(x), tuple(rows), tuple(bins), layers[-1].given)


def place_of(layer: Layer, gradients: Gradients, memory: Memory | None, branches: Container[str]) -> Place:
    """What a verdict must know of a layer."""
    cut_off = not gradients.reach(layer) and any(out.requires_grad for out in layer.outputs)
    last_lag = memory.last_lag if memory else 0
    return Place(
        layer.path, layer.unit_count, layer.activation_name, layer.recurrence, last_lag, cut_off, layer.path in branches
    )
