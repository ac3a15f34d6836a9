"""Convolutions of many trials. S trials in a stack, B batch, C channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from winit_cli.models.lift.twin import Run, Twin, apart, joined, side_by_side


class LoopedConv(Twin):
    """(S, B, C, height, width) by one convolution per trial, channels last: the fastest on a processor."""

    def __init__(self, layers: Sequence[nn.Conv2d], runs: Sequence[Run]) -> None:
        super().__init__(layers, runs)
        first = layers[0]
        self._sizes = (first.stride, cast("tuple[int, int]", first.padding), first.dilation, first.groups)

    def forward(self, x: Tensor) -> Tensor:
        return joined(
            [
                F.conv2d(_last(image), cast(Tensor, weight), bias, *self._sizes)
                for image, weight, bias in zip(self.rows(x), self.of_each("weight"), self.of_each("bias"), strict=True)
            ]
        )


class GroupedConv(Twin):
    """(S, B, C, height, width) by one convolution with a group per trial."""

    def __init__(self, layers: Sequence[nn.Conv2d], runs: Sequence[Run]) -> None:
        super().__init__(layers, runs)
        first = layers[0]
        groups = first.groups * self.trials
        self._sizes = (first.stride, cast("tuple[int, int]", first.padding), first.dilation, groups)

    def forward(self, x: Tensor) -> Tensor:
        stacked = self._parameters.get("bias")
        bias = None if stacked is None else stacked.flatten()
        out = F.conv2d(side_by_side(self.spread(x)), cast(Tensor, self.weight).flatten(0, 1), bias, *self._sizes)
        return apart(out, self.trials)


def _last(x: Tensor) -> Tensor:
    """(B, C, height, width) with its channels last in memory, also where one channel leaves open what that means."""
    x = x.contiguous(memory_format=torch.channels_last)
    if x.shape[1] > 1:
        return x
    return x.as_strided(x.shape, (x.shape[2] * x.shape[3], 1, x.shape[3], 1))
