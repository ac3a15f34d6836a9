"""Convolutions of many trials. S trials in a stack, B batch, C channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from winit_cli.models.lift.twin import Run, Twin, apart, joined, side_by_side

ALIGNED = 4  # numbers that a GPU reads at once
PARTS = 16  # of a long sum


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


class UnfoldedConv(Twin):
    """(S, B, C, height, width) by one product per layer of all windows of all images, channels last: for a GPU."""

    def __init__(self, layers: Sequence[nn.Conv2d], runs: Sequence[Run]) -> None:
        super().__init__(layers, runs)
        self._padding = cast("tuple[int, int]", layers[0].padding)

    def forward(self, x: Tensor) -> Tensor:
        bias = self._parameters.get("bias")
        return cast(Tensor, _Windows.apply(self.spread(x), self.weight, bias, self._padding))  # type: ignore[no-untyped-call]


class GroupedConv(Twin):
    """(S, B, C, height, width) by one convolution with a group per trial: for strides, dilation and groups."""

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


def batched_conv(layers: Sequence[nn.Conv2d], runs: Sequence[Run]) -> Twin:
    """The convolutions of all trials at once."""
    first = layers[0]
    is_plain = first.stride == first.dilation == (1, 1) and first.groups == 1
    return (UnfoldedConv if is_plain else GroupedConv)(layers, runs)


class _Windows(torch.autograd.Function):
    """A convolution as a product of the windows (S, B · L, K) of images with a matrix (S, O, K).

    L is height · width of the output, O its channels. A row of K numbers has those of one window, then ones, the first
    of which meets the bias, so that the product adds it, and gives its gradient with that of the weights.
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int]) -> Tensor:
        windows = _windows(x, weight.shape[-2:], padding)
        matrix = _matrix(weight, bias, windows.shape[-1])
        ctx.save_for_backward(windows, matrix)
        ctx.shapes, ctx.padding, ctx.has_bias = (x.shape, weight.shape), padding, bias is not None
        out = torch.bmm(windows.flatten(1, 3), matrix.mT)
        return out.view(*windows.shape[:4], -1).permute(0, 1, 4, 2, 3)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None, None]:
        (windows, matrix), (x_shape, shape), (grad,) = ctx.saved_tensors, ctx.shapes, grads
        last = grad.permute(0, 1, 3, 4, 2)
        flat = last.reshape(len(grad), -1, last.shape[-1])
        # products over few long sums leave most of a GPU idle
        parts = len(grad) * math.gcd(x_shape[1], PARTS)
        of_parts = torch.bmm(flat.reshape(parts, -1, flat.shape[-1]).mT, windows.view(parts, -1, windows.shape[-1]))
        of_matrix = of_parts.view(len(grad), -1, *of_parts.shape[1:]).sum(1)
        numbers = shape[2:].numel()
        of_weight = of_matrix[..., :numbers].view(*shape[:2], *shape[-2:], shape[2]).movedim(-1, 2)
        of_bias = of_matrix[..., numbers] if ctx.has_bias else None
        if not ctx.needs_input_grad[0]:
            return None, of_weight, of_bias, None
        of_windows = torch.bmm(flat, matrix[..., :numbers]).view(*last.shape[:-1], *shape[-2:], shape[2])
        return _folded(of_windows, x_shape, ctx.padding), of_weight, of_bias, None


def _windows(x: Tensor, size: Sequence[int], padding: tuple[int, int]) -> Tensor:
    """The windows of images (S, B, C, height, width) as rows, with ones behind them: (S, B, height, width, K)."""
    down, right = padding
    last = F.pad(x.permute(0, 1, 3, 4, 2), (0, 0, right, right, down, down))
    windows = last.unfold(2, size[0], 1).unfold(3, size[1], 1).permute(0, 1, 2, 3, 5, 6, 4)
    numbers = windows.shape[-3:].numel()
    rows = x.new_empty(*windows.shape[:4], math.ceil((numbers + 1) / ALIGNED) * ALIGNED)
    rows[..., :numbers].view(windows.shape).copy_(windows)
    rows[..., numbers:] = 1
    return rows


def _matrix(weight: Tensor, bias: Tensor | None, columns: int) -> Tensor:
    """Weights (S, O, C, height, width) in the order of the windows, and biases (S, O): (S, O, K)."""
    flat = weight.movedim(2, -1).flatten(2)
    matrix = weight.new_zeros(*flat.shape[:2], columns)
    matrix[..., : flat.shape[-1]] = flat
    if bias is not None:
        matrix[..., flat.shape[-1]] = bias
    return matrix


def _folded(of_windows: Tensor, shape: torch.Size, padding: tuple[int, int]) -> Tensor:
    """What windows (S, B, height, width, kernel height, kernel width, C) add up to in images (S, B, C, …)."""
    (down, right), (height, width) = padding, of_windows.shape[2:4]
    rows, columns = shape[-2:]
    found = of_windows.new_zeros(*shape[:2], rows + 2 * down, columns + 2 * right, shape[2])
    for i in range(of_windows.shape[4]):
        for j in range(of_windows.shape[5]):
            found[:, :, i : i + height, j : j + width] += of_windows[:, :, :, :, i, j]
    return found[:, :, down : down + rows, right : right + columns].permute(0, 1, 4, 2, 3)


def _last(x: Tensor) -> Tensor:
    """(B, C, height, width) with its channels last in memory, also where one channel leaves open what that means."""
    x = x.contiguous(memory_format=torch.channels_last)
    if x.shape[1] > 1:
        return x
    return x.as_strided(x.shape, (x.shape[2] * x.shape[3], 1, x.shape[3], 1))
