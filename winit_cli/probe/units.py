"""How many different units a layer has, and of what rank its first gradient is. U units, D weights of each."""

from __future__ import annotations

import math
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
FIRST = 16  # weights by which most pairs of units are told apart: all of them are looked at where these are equal
LARGEST_SIDE = 1024  # of a gradient whose rank is computed: beyond it takes seconds


def symmetry(weight_gradients: Mapping[Layer, Mapping[str, Tensor]]) -> Iterator[Row]:
    """Rows of the number of distinct units of each layer, of distinct gradients of them, and of the rank of these; of
    recurrent layers that lie one on another, or read both ways, those of the one with the fewest."""
    for layer, gradients in weight_gradients.items():
        distinct, unlike, rank = min(_found(layer.module, gradients, end) for end in _ends(layer.module))
        if distinct:
            yield Row(layer.path, layer.depth, "distinct_units", float(distinct))
        if gradients:
            yield Row(layer.path, layer.depth, "distinct_gradients", float(unlike))
            yield Row(layer.path, layer.depth, "gradient_rank", rank)


def _found(module: nn.Module, gradients: Mapping[str, Tensor], end: str) -> tuple[int, int, float]:
    """Distinct units, 0 where winit does not know them, distinct gradients, and their rank, NaN without any; of the
    weights whose names end so."""
    mine = [_by_unit(module, gradient) for name, gradient in gradients.items() if name.endswith(end)]
    mine = [gradient for gradient in mine if len(gradient) == len(mine[0])]
    groups = torch.cat(mine, 1).chunk(_groups_of(module)) if mine else []
    return distinct_units(unit_rows(module, end)), distinct_units(groups), gradient_rank(mine) if mine else math.nan


def _ends(module: nn.Module) -> list[str]:
    """How the names of the weights of each layer in a module end: ``_l0_reverse``, or not at all."""
    if not isinstance(module, nn.RNNBase):
        return [""]
    ways = ("", "_reverse") if module.bidirectional else ("",)
    return [f"_l{layer}{way}" for layer in range(module.num_layers) for way in ways]


def has_one_unit(module: nn.Module) -> bool:
    """Whether all units of a layer are equal, or all of one of several in it."""
    layers = [unit_rows(module, end) for end in _ends(module)]
    return any(len(groups) == 1 and _is_one(groups[0].detach()) for groups in layers)


def _is_one(rows: Tensor) -> bool:
    return bool(((rows - rows[0]).abs() <= SAME * rows.abs().max()).all())


def unit_rows(module: nn.Module, end: str = "") -> list[Tensor]:
    """The weights and bias that lead into each unit, (U, D); one array for each group of a convolution. Empty for
    layers whose units winit does not know. ``end`` is how the names end of the recurrent layer that is meant."""
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        names = [f"{kind}_{way}{end}" for kind in ("weight", "bias") for way in ("ih", "hh")]
        parts = [part for name in names if isinstance(part := getattr(module, name, None), Tensor)]
        return [torch.cat([_by_unit(module, part) for part in parts], 1)]
    weight = getattr(module, "weight", None)
    if not isinstance(weight, Tensor) or weight.dim() < 2 or isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return []
    rows, bias = _by_unit(module, weight), getattr(module, "bias", None)
    if isinstance(bias, Tensor) and bias.shape == rows.shape[:1]:
        rows = torch.cat([rows, bias[:, None]], 1)
    return list(rows.chunk(_groups_of(module)))


def _groups_of(module: nn.Module) -> int:
    """The groups of a convolution; 1 for others."""
    return module.groups if isinstance(module, _ConvNd) else 1


def _by_unit(module: nn.Module, tensor: Tensor) -> Tensor:
    """Weights or their gradient as (U, …): of a recurrent layer what all gates of a unit receive, side by side."""
    if isinstance(module, nn.RNNBase | nn.RNNCellBase) and len(tensor) % module.hidden_size == 0:
        return torch.cat([gate.reshape(module.hidden_size, -1) for gate in torch.split(tensor, module.hidden_size)], 1)
    if isinstance(module, _ConvNd) and module.transposed:  # (inputs, outputs / groups, …)
        tensor = torch.cat([part.transpose(0, 1) for part in tensor.chunk(module.groups)])
    return tensor.flatten(1)


def distinct_units(groups: Sequence[Tensor]) -> int:
    """Number of units no two of which have the same incoming weights and bias, or the same gradient of them:
    ``|w_i - w_j| <= 1e-4 max|w|`` in every entry counts as the same. Equal units stay equal under gradient descent
    where they lead to the same place (Goodfellow et al. 2016, Deep Learning, section 8.4)."""
    return sum(_distinct(rows.detach().cpu().double().numpy()) for rows in groups)


def _distinct(rows: NDArray[np.float64]) -> int:
    """Rows in the order of a projection, each held against those before it that project to nearly the same."""
    if not np.isfinite(rows).all():
        rows = np.nan_to_num(rows, nan=0.0, posinf=1e300, neginf=-1e300)
    sizes = np.abs(rows).max(0, initial=0.0)
    tolerance = SAME * sizes.max(initial=0.0)
    first = rows[:, np.argsort(-sizes, kind="stable")[:FIRST]]
    direction = np.cos(np.arange(1, rows.shape[1] + 1))
    places = rows @ direction
    reach = tolerance * np.abs(direction).sum()
    kept: list[int] = []
    first_near = 0
    for index in np.argsort(places, kind="stable").tolist():
        while first_near < len(kept) and not places[index] - places[kept[first_near]] <= reach:
            first_near += 1
        near = np.array(kept[first_near:], dtype=int)
        for some in (first, rows):
            near = near[(np.abs(some[near] - some[index]) <= tolerance).all(1)]
        if not len(near):
            kept.append(index)
    return len(kept)


def gradient_rank(gradients: Sequence[Tensor]) -> float:
    """Numerical rank of the first gradient ``dL/dW`` (U, D) of a layer's weights, side by side: the number of singular
    values above 1e-5 of the largest; 1 where all units are updated alike. NaN for matrices with more than 1,024 rows
    and columns, and for gradients that are not finite."""
    matrix = torch.cat([g.detach().double() for g in gradients], 1)
    if min(matrix.shape) > LARGEST_SIDE or not matrix.isfinite().all():
        return float("nan")
    scale = matrix.abs().max()
    if scale == 0:
        return 0.0
    matrix = matrix / scale
    small = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    squares = torch.linalg.eigvalsh(small @ small.T)
    return float((squares > RANK_TOLERANCE**2 * squares[-1]).sum())
