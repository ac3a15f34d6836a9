"""How many different units a layer has, and of what rank its first gradient is. U units, D weights of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from winit_cli.probe.layers import Layer
from winit_cli.probe.measured import Row

SAME = 1e-4  # of the layer's largest weight: training in single precision parts equal units by a tenth of it at most
RANK_TOLERANCE = 1e-5  # of the largest singular value; single precision has 6e-8
LARGEST_SIDE = 1024  # of a gradient whose rank is computed: beyond it takes seconds


def symmetry(weight_gradients: Mapping[Layer, Sequence[Tensor]]) -> Iterator[Row]:
    """Rows of the number of distinct units of each layer, and of the rank of its first gradient."""
    for layer, gradients in weight_gradients.items():
        rows = unit_rows(layer.module)
        if rows:
            yield Row(layer.path, layer.depth, "distinct_units", float(distinct_units(rows)))
        if gradients:
            yield Row(layer.path, layer.depth, "gradient_rank", gradient_rank(gradients))


def unit_rows(module: nn.Module) -> list[Tensor]:
    """The weights and bias that lead into each unit, (U, D); one array for each group of a convolution. Empty for
    layers whose units winit does not know."""
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return [_recurrent_rows(module)]
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or weight.dim() < 2 or isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return []
    groups = module.groups if isinstance(module, _ConvNd) else 1
    if isinstance(module, _ConvNd) and module.transposed:  # (inputs, outputs / groups, …)
        weight = torch.cat([part.transpose(0, 1) for part in weight.chunk(groups)])
    bias = getattr(module, "bias", None)
    rows = weight.flatten(1)
    if isinstance(bias, Tensor) and bias.shape == rows.shape[:1]:
        rows = torch.cat([rows, bias[:, None]], 1)
    return list(rows.chunk(groups))


def _recurrent_rows(module: nn.RNNBase | nn.RNNCellBase) -> Tensor:
    """Of the first layer: what all gates of a unit receive, side by side."""
    size = module.hidden_size
    ends = ("_l0",) if isinstance(module, nn.RNNBase) else ("",)
    names = [f"{kind}_{way}{end}" for kind in ("weight", "bias") for way in ("ih", "hh") for end in ends]
    parts = [part for name in names if isinstance(part := getattr(module, name, None), Tensor)]
    gates = [block.reshape(size, -1) for part in parts for block in torch.split(part, size)]
    return torch.cat(gates, 1)


def distinct_units(groups: Sequence[Tensor]) -> int:
    """Number of units no two of which have the same incoming weights and bias: ``|w_i - w_j| <= 1e-4 max|w|`` in every
    entry counts as the same. Equal units stay equal under gradient descent where they lead to the same place
    (Goodfellow et al. 2016, Deep Learning, section 8.4)."""
    return sum(_distinct(rows.detach().cpu().double().numpy()) for rows in groups)


def _distinct(rows: NDArray[np.float64]) -> int:
    """Rows in the order of a projection, each held against those before it that project to nearly the same."""
    if not np.isfinite(rows).all():
        rows = np.nan_to_num(rows, nan=0.0, posinf=1e300, neginf=-1e300)
    tolerance = SAME * np.abs(rows).max(initial=0.0)
    direction = np.cos(np.arange(1, rows.shape[1] + 1))
    places = rows @ direction
    reach = tolerance * np.abs(direction).sum()
    kept: list[int] = []
    first_near = 0
    for index in np.argsort(places, kind="stable").tolist():
        while first_near < len(kept) and not places[index] - places[kept[first_near]] <= reach:
            first_near += 1
        near = kept[first_near:]
        if not near or not (np.abs(rows[near] - rows[index]) <= tolerance).all(1).any():
            kept.append(index)
    return len(kept)


def gradient_rank(gradients: Sequence[Tensor]) -> float:
    """Numerical rank of the first gradient ``dL/dW`` (U, D) of a layer's weights, side by side: the number of singular
    values above 1e-5 of the largest; 1 where all units are updated alike. NaN for matrices with more than 1,024 rows
    and columns, and for gradients that are not finite."""
    rows = len(gradients[0])
    matrix = torch.cat([g.detach().double().flatten(1) for g in gradients if len(g) == rows], 1)
    if min(matrix.shape) > LARGEST_SIDE or not matrix.isfinite().all():
        return float("nan")
    scale = matrix.abs().max()
    if scale == 0:
        return 0.0
    matrix = matrix / scale
    small = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    squares = torch.linalg.eigvalsh(small @ small.T)
    return float((squares > RANK_TOLERANCE**2 * squares[-1]).sum())
