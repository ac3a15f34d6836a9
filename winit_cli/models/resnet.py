"""Residual networks, convolutional and fully connected. B batch, D input size, W width, C outputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from winit_cli.errors import UsageError
from winit_cli.models.cnn import POOLS, images_of, pooled
from winit_cli.models.norms import Norm, norm_of_channels, norm_of_features
from winit_cli.models.residual import Block, Branch, BranchScale
from winit_cli.models.row import (
    ActivationName,
    Model,
    Task,
    activation_function,
    refuse_doubling,
    refuse_target_steps,
)
from winit_cli.tables import Depth, Layers, PositiveInt


class ResNet(nn.Module):
    """Stem → norm → activation → 2x2 max-pool, ``depth`` residual blocks of 3x3 convolutions, global average, linear
    head: (…, B, channels, height, width) → (…, B, C)."""

    def __init__(self, stem: nn.Module, norm: nn.Module, blocks: list[Block], head: nn.Linear, activation: str) -> None:
        super().__init__()
        self.stem, self.norm, self.blocks, self.head = stem, norm, nn.ModuleList(blocks), head
        self._function = activation_function(activation)

    def forward(self, x: Tensor) -> Tensor:
        x = pooled(self._function(self.norm(self.stem(x))), POOLS["max"])
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(x.mean(dim=(-2, -1)))
        return out


class ResMLP(nn.Module):
    """Stem → norm → activation, ``depth`` residual blocks, linear head: (…, B, *input) → (…, B, C)."""

    def __init__(
        self,
        shape: tuple[int, ...],
        stem: nn.Linear,
        norm: nn.Module,
        blocks: list[Block],
        head: nn.Linear,
        activation: str,
    ) -> None:
        super().__init__()
        self.stem, self.norm, self.blocks, self.head = stem, norm, nn.ModuleList(blocks), head
        self._input_dims, self._function = len(shape), activation_function(activation)

    def forward(self, x: Tensor) -> Tensor:
        x = self._function(self.norm(self.stem(x.flatten(-self._input_dims))))
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(x)
        return out


def _blocks(
    depth: int,
    branch_layers: int,
    branch_scale: BranchScale,
    activation: str,
    layer: Callable[[], nn.Module],
    norm: Callable[[], nn.Module],
) -> list[Block]:
    function = activation_function(activation)
    branches = (
        Branch([layer() for _ in range(branch_layers)], [norm() for _ in range(branch_layers)], function)
        for _ in range(depth)
    )
    return [Block(branch, branch_scale, function) for branch in branches]


def resnet(
    task: Task,
    *,
    width: PositiveInt = 16,
    depth: Depth = 4,
    branch_layers: Layers = 2,
    norm: Norm = "batch",
    branch_scale: BranchScale = "none",
    activation: ActivationName = "relu",
) -> ResNet:
    """A residual network on images; ``depth`` counts the blocks, ``width`` the channels.

    Raises:
        UsageError: the inputs are not images, or too small for a pooling, or the activation is crelu.
    """
    channels, *sides = images_of(task, "resnet")
    refuse_doubling(activation, "resnet")
    if min(sides) < 2:
        raise UsageError("resnet halves the image once, but the images are only 1 wide or high; use model: resmlp")
    layer = partial(nn.Conv2d, width, width, 3, padding=1)
    norms = partial(norm_of_channels, norm, width)
    blocks = _blocks(depth, branch_layers, branch_scale, activation, layer, norms)
    stem, head = nn.Conv2d(channels, width, 3, padding=1), nn.Linear(width, task.outputs)
    return ResNet(stem, norms(), blocks, head, activation)


def resmlp(
    task: Task,
    *,
    width: PositiveInt = 64,
    depth: Depth = 4,
    branch_layers: Layers = 2,
    norm: Norm = "none",
    branch_scale: BranchScale = "none",
    activation: ActivationName = "relu",
) -> ResMLP:
    """A residual MLP on flattened inputs; ``depth`` counts the blocks.

    Raises:
        UsageError: the activation is crelu.
    """
    refuse_target_steps(task, "resmlp")
    refuse_doubling(activation, "resmlp")
    norms = partial(norm_of_features, norm, width)
    blocks = _blocks(depth, branch_layers, branch_scale, activation, partial(nn.Linear, width, width), norms)
    stem, head = nn.Linear(math.prod(task.input_shape), width), nn.Linear(width, task.outputs)
    return ResMLP(task.input_shape, stem, norms(), blocks, head, activation)


MODELS = (
    Model("resnet", resnet, "residual blocks of 3x3 convolutions, global average and a linear head; for images"),
    Model("resmlp", resmlp, "residual blocks of fully connected layers and a linear head; inputs are flattened"),
)
