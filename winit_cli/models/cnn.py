"""Convolutional network. B batch, C channels, H height, W width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from winit_cli.errors import UsageError
from winit_cli.models.norms import Norm, norm_of_channels
from winit_cli.models.row import ActivationName, Model, Task, activation_function, refuse_doubling, refuse_target_steps
from winit_cli.tables import Layers, PositiveInt

Pool = Literal["max", "avg", "none"]
Channels = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]

POOLS: dict[Pool, Callable[[Tensor], Tensor]] = {
    "max": lambda x: F.max_pool2d(x, 2),
    "avg": lambda x: F.avg_pool2d(x, 2),
    "none": lambda x: x,
}


class CNN(nn.Module):
    """Convolution (same padding) → norm → activation, ``repeat`` times for each of ``channels``, with 2x2 pooling
    between them; global average, linear head: (…, B, C, H, W) → (…, B, outputs)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        channels: Sequence[int],
        repeat: int,
        kernel_size: int,
        activation: str,
        norm: Norm,
        pool: Pool,
    ) -> None:
        super().__init__()
        sizes = [inputs, *(size for size in channels for _ in range(repeat))]
        margin = (kernel_size - 1) // 2
        self.convs = nn.ModuleList(nn.Conv2d(a, b, kernel_size, padding=margin) for a, b in pairwise(sizes))
        self.norms = nn.ModuleList(norm_of_channels(norm, size) for size in sizes[1:])
        self.head = nn.Linear(channels[-1], outputs)
        self._function = activation_function(activation)
        self._pool = POOLS[pool]
        self._pools_after = range(repeat - 1, len(self.convs) - 1, repeat)
        self._pools_first = (activation, pool) == ("relu", "max")  # the same bits, with a quarter of the traffic
        self._extra = 1 - kernel_size % 2  # an even kernel needs one more row below and column to the right

    def forward(self, x: Tensor) -> Tensor:
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = F.pad(x, (0, self._extra, 0, self._extra)) if self._extra else x
            x = norm(conv(x))
            if index not in self._pools_after:
                x = self._function(x)
            elif self._pools_first:
                x = self._function(pooled(x, self._pool))
            else:
                x = pooled(self._function(x), self._pool)
        out: Tensor = self.head(x.mean(dim=(-2, -1)))
        return out


def pooled(x: Tensor, pool: Callable[[Tensor], Tensor]) -> Tensor:
    """Pooling itself takes one leading dimension: (…, C, H, W)."""
    out = pool(x.flatten(0, -4))
    return out.reshape(*x.shape[:-3], *out.shape[1:])


def images_of(task: Task, model: str) -> tuple[int, int, int]:
    """Channels, height and width of the images.

    Raises:
        UsageError: the inputs are not images.
    """
    refuse_target_steps(task, model)
    if len(task.input_shape) != 3:
        raise UsageError(
            f"{model} needs images (channels, height, width), the data has {task.described()}; use model: mlp"
        )
    channels, height, width = task.input_shape
    return channels, height, width


def cnn(
    task: Task,
    *,
    channels: Channels = (16, 32, 32),
    repeat: Layers = 1,
    kernel_size: PositiveInt = 3,
    activation: ActivationName = "relu",
    norm: Norm = "none",
    pool: Pool = "max",
) -> CNN:
    """A CNN on images; each entry of ``channels`` stands for ``repeat`` convolutions.

    Raises:
        UsageError: the inputs are not images, or are too small for so many poolings, or the activation is crelu.
    """
    inputs, *sides = images_of(task, "cnn")
    refuse_doubling(activation, "cnn")
    side, pools = min(sides), len(channels) - 1
    if pool != "none" and side >> pools == 0:
        raise UsageError(
            f"cnn halves the image after each of {pools} layers, but the images are only {side} wide or high; "
            f"use at most {side.bit_length()} channels entries, or pool: none"
        )
    return CNN(inputs, task.outputs, channels, repeat, kernel_size, activation, norm, pool)


MODEL = Model("cnn", cnn, "convolutions with pooling, global average and a linear head; for images")
