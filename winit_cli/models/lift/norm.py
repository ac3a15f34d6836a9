"""Layers of many trials that normalize or scale. S trials in a stack, B batch, C channels or features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from winit_cli.models.lift.twin import Run, Twin, aligned, apart, side_by_side


class StackedBatchNorm(Twin):
    """(S, B, C, …): statistics of each trial's own batch."""

    def __init__(self, layers: Sequence[nn.BatchNorm1d | nn.BatchNorm2d], runs: Sequence[Run]) -> None:
        super().__init__(layers, runs)
        self._momentum, self._eps = cast(float, layers[0].momentum), layers[0].eps

    def forward(self, x: Tensor) -> Tensor:
        names = ("running_mean", "running_var", "weight", "bias")
        mean, variance, weight, bias = [cast(Tensor, getattr(self, name)).flatten() for name in names]
        x = side_by_side(self.spread(x))
        out = F.batch_norm(x, mean, variance, weight, bias, self.training, self._momentum, self._eps)
        if self.training:
            cast(Tensor, self.num_batches_tracked).add_(1)
        return apart(out, self.trials)


class StackedScale(Twin):
    """(S, …): every trial by a number of its own."""

    def forward(self, x: Tensor) -> Tensor:
        return self.spread(x) * cast(Tensor, self.factor).view(-1, *[1] * (x.dim() - 1))


class StackedLayerNorm(Twin):
    """(S, B, …, C): every example by itself."""

    def __init__(self, layers: Sequence[nn.LayerNorm], runs: Sequence[Run]) -> None:
        super().__init__(layers, runs)
        self._shape, self._eps = layers[0].normalized_shape, layers[0].eps

    def forward(self, x: Tensor) -> Tensor:
        out = F.layer_norm(x, self._shape, eps=self._eps)
        return torch.addcmul(aligned(self.bias, x, -1), out, aligned(self.weight, x, -1))


class StackedGroupNorm(Twin):
    """(S, B, C, …): every example by itself, in groups of channels."""

    def __init__(self, layers: Sequence[nn.GroupNorm], runs: Sequence[Run]) -> None:
        super().__init__(layers, runs)
        self._groups, self._eps = layers[0].num_groups, layers[0].eps

    def forward(self, x: Tensor) -> Tensor:
        out = F.group_norm(x.flatten(0, 1), self._groups, eps=self._eps).reshape(x.shape)
        return torch.addcmul(aligned(self.bias, x, 2), out, aligned(self.weight, x, 2))
