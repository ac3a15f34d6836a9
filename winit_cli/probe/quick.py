"""The few numbers that a verdict needs, in one forward and one backward pass: for scans of many networks.

Left out are gradients by parameter, Jacobians, the gradient quotient, and the number of distinct units where there is
more than one.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from winit_cli.probe.measure import Loss, Measured, Place, Row, _count, _forward, _loss, _mean_square, _signals
from winit_cli.probe.observe import Layer, Observer
from winit_cli.probe.units import SAME, gradient_rank, unit_rows
from winit_cli.probe.untouched import untouched


def measure_quickly(module: nn.Module, x: Tensor, y: Tensor | None, loss: Loss, *key: str | int) -> Measured:
    """As ``winit_cli.probe.measure.measure``, with fewer rows and equal numbers in them.

    Raises:
        ForeignError: the module or the loss raised an error.
    """
    with torch.inference_mode(False), torch.enable_grad(), untouched(module, *key):
        observer = Observer(module)
        with observer:
            out = _forward(module, x)
        layers = observer.layers
        rows = [*_signals(layers, x), *_gradients(layers, _loss(loss, out, y))]
    places = tuple(Place(layer.path, _count(layer), layer.activation_name, layer.is_recurrent) for layer in layers)
    return Measured(places, _mean_square(x), tuple(rows))


def _gradients(layers: list[Layer], loss: Tensor) -> Iterator[Row]:
    """Norms of ``dL/dz``; of layers whose units are all one, also the rank of the gradient of their weights."""
    if not loss.requires_grad:
        return
    alike = [layer for layer in layers if _units_are_equal(layer.module)]
    weights = {layer: [w for w in layer.module.parameters() if w.dim() > 1 and w.requires_grad] for layer in alike}
    outputs = [(layer, out) for layer in layers for out in layer.outputs if out.requires_grad]
    wanted = [*(out for _, out in outputs), *(w for some in weights.values() for w in some)]
    found = iter(torch.autograd.grad(loss, wanted, materialize_grads=True))
    squares = dict.fromkeys(layers, 0.0)
    for (layer, _), delta in zip(outputs, found, strict=False):
        squares[layer] += torch.linalg.vector_norm(delta, dtype=torch.float64).item() ** 2
    for layer, square in squares.items():
        yield Row(layer.path, layer.depth, "grad_norm", square**0.5)
    for layer, some in weights.items():
        yield Row(layer.path, layer.depth, "distinct_units", 1.0)
        if some:
            yield Row(layer.path, layer.depth, "gradient_rank", gradient_rank([next(found) for _ in some]))


def _units_are_equal(module: nn.Module) -> bool:
    """Whether a layer has one distinct unit."""
    groups = unit_rows(module)
    if len(groups) != 1:
        return False
    rows = groups[0].detach()
    return bool(((rows - rows[0]).abs() <= SAME * rows.abs().max()).all())
