"""How a layer hands on small changes: the Jacobian of its pre-activations with respect to those of the layer before.

K outputs of the layer, D of the layer before.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from winit_cli.foreign import ForeignError
from winit_cli.probe.jacobian import EXACT_NUMBERS, EXACT_OUTPUTS
from winit_cli.probe.layers import Layer
from winit_cli.probe.measured import Row
from winit_cli.probe.observe import observed


def layer_jacobian_rows(module: nn.Module, layers: list[Layer], x: Tensor) -> Iterator[Row]:
    """The mean of the min(K, D) singular values of ``d z_l / d z_(l-1)`` for the first example (Glorot & Bengio 2010,
    AISTATS, section 4.2), of layers of up to 512 outputs that are called once, each with the layer before."""
    sizes = [size for pair in pairwise(layers) if (size := _outputs(*pair))]
    if not sizes:
        return
    copies = x[:1].expand(max(sizes), *x.shape[1:])  # a row of a Jacobian from each
    try:
        observer, _ = observed(module, copies)
    except (ForeignError, RuntimeError):  # it has taken the batch that it was given, but need not take another size
        return
    for before, layer in pairwise(observer.layers):
        size = _outputs(before, layer)
        jacobian = _jacobian(before.outputs[0], layer.outputs[0], size) if size else None
        if jacobian is not None:
            yield Row(layer.path, layer.depth, "layer_jacobian_sv_mean", mean_singular_value(jacobian))


def _outputs(before: Layer, layer: Layer) -> int:
    """How many a layer has for one example; 0 where its Jacobian is not measured."""
    if before.is_recurrent or layer.is_recurrent or len(before.outputs) != 1 or len(layer.outputs) != 1:
        return 0
    inputs, outputs = (one.outputs[0][0].numel() if one.outputs[0].dim() > 1 else 0 for one in (before, layer))
    return outputs if outputs <= EXACT_OUTPUTS and inputs * outputs <= EXACT_NUMBERS else 0


def _jacobian(before: Tensor, z: Tensor, size: int) -> Tensor | None:
    """(K, D), from as many equal examples; ``None`` where z does not depend on the layer before."""
    if len(z) < size or not z.requires_grad or not before.requires_grad:
        return None
    chosen = z.flatten(1)[:size].diagonal().sum()
    (rows,) = torch.autograd.grad(chosen, before, retain_graph=True, allow_unused=True)
    return None if rows is None else rows.flatten(1)[:size]


def mean_singular_value(matrix: Tensor) -> float:
    """Of all min(K, D); NaN where the matrix is not finite."""
    if not matrix.isfinite().all():
        return float("nan")
    mean: float = torch.linalg.svdvals(matrix.double()).mean().item()
    return mean
