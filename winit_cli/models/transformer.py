"""Transformer encoder that classifies. B batch, T tokens, W width, C outputs, K steps with a target.

Vaswani et al. 2017, Attention is all you need (arXiv:1706.03762); Dosovitskiy et al. 2021, An image is worth 16x16
words (arXiv:2010.11929).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from winit_cli.errors import UsageError
from winit_cli.models.residual import Block, Branch, BranchScale
from winit_cli.models.row import ActivationName, Model, Task, activation_function, refuse_doubling
from winit_cli.tables import Depth, PositiveInt, PositiveNumber

NormPlace = Literal["pre", "post", "none"]


class Attention(nn.Module):
    """Every token looks at all tokens, in ``heads`` parts of the features: (…, B, T, W) → (…, B, T, W)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        shape = x.shape
        query, key, value = (self._parted(layer(x)) for layer in (self.query, self.key, self.value))
        seen = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out(seen.transpose(1, 2).reshape(shape))
        return out

    def _parted(self, x: Tensor) -> Tensor:
        """(…, B, T, W) → (… · B, heads, T, W / heads): torch's fast kernels take one leading dimension."""
        tokens, width = x.shape[-2:]
        return x.reshape(-1, tokens, self.heads, width // self.heads).transpose(1, 2)


class Transformer(nn.Module):
    """Stem, positions, ``layers`` of attention and MLP, norm, mean over the tokens, linear head: inputs (…, B, *input)
    → (…, B, C); where the last K steps have a target, the head on each of them: (…, B, K, C).

    The stem is an embedding of tokens, or a linear layer on each time step or each square of an image.
    """

    def __init__(
        self, task: Task, stem: nn.Module, positions: nn.Embedding, layers: list[nn.Module], norm: nn.Module, patch: int
    ) -> None:
        super().__init__()
        self.stem, self.positions = stem, positions
        self.layers, self.norm = nn.ModuleList(layers), norm
        self.head = nn.Linear(positions.embedding_dim, task.outputs)
        self.target_steps, self.tokens = task.target_steps, positions.num_embeddings
        self._patch = patch if len(task.input_shape) == 3 else 0

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(patches(x, self._patch) if self._patch else x)
        x = x + self.positions(torch.arange(self.tokens, device=x.device))
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x)
        out: Tensor = self.head(x[..., -self.target_steps :, :] if self.target_steps else x.mean(-2))
        return out


def patches(x: Tensor, side: int) -> Tensor:
    """The squares of images, row by row: (…, channels, height, width) → (…, T, channels · side²)."""
    *leading, channels, height, width = x.shape
    x = x.reshape(*leading, channels, height // side, side, width // side, side)
    return x.movedim((-4, -2), (-5, -4)).flatten(-3).flatten(-3, -2)


def transformer(
    task: Task,
    *,
    width: PositiveInt = 64,
    depth: Depth = 2,
    heads: PositiveInt = 4,
    mlp_ratio: PositiveInt = 4,
    patch: PositiveInt = 4,
    norm: NormPlace = "pre",
    branch_scale: BranchScale = "none",
    skip_scale: PositiveNumber | Literal["deepnorm"] = 1.0,
    activation: ActivationName = "gelu",
) -> Transformer:
    """A transformer encoder; ``depth`` counts the layers: an attention, and an MLP ``mlp_ratio`` times as wide.

    ``skip_scale`` multiplies what goes around a branch, ``deepnorm`` means (2 depth)^(1/4) (Wang et al. 2022,
    arXiv:2203.00555).

    Raises:
        UsageError: the inputs are vectors, or ``patch`` does not divide the images, or ``heads`` the width, or the skip
            is scaled without a norm behind it, or the activation is crelu.
    """
    refuse_doubling(activation, "transformer")
    if width % heads:
        raise UsageError(
            f"transformer gives each head a part of its width, but {width} is no multiple of heads: {heads}"
        )
    if norm != "post" and skip_scale != 1:
        raise UsageError(f"skip_scale: {skip_scale} needs norm: post; without it the signal grows in every branch")
    skip = max(1, 2 * depth) ** 0.25 if skip_scale == "deepnorm" else float(skip_scale)
    stem, tokens = _stem(task, width, patch)

    def block(branch: nn.Module) -> Block:
        normed = None if norm == "none" else nn.LayerNorm(width)
        return Block(branch, branch_scale, _same, normed, norm_first=norm == "pre", skip_scale=skip)

    def mlp() -> Branch:
        layers = [nn.Linear(width, mlp_ratio * width), nn.Linear(mlp_ratio * width, width)]
        return Branch(layers, [nn.Identity(), nn.Identity()], activation_function(activation))

    def layer() -> nn.Module:
        parts: list[tuple[str, nn.Module]] = [("attention", block(Attention(width, heads))), ("mlp", block(mlp()))]
        return nn.Sequential(OrderedDict(parts))

    layers = [layer() for _ in range(depth)]
    last = nn.LayerNorm(width) if norm == "pre" else nn.Identity()
    return Transformer(task, stem, nn.Embedding(tokens, width), layers, last, patch)


def _stem(task: Task, width: int, patch: int) -> tuple[nn.Module, int]:
    """What makes features of the inputs, and how many tokens there are.

    Raises:
        UsageError: see :func:`transformer`.
    """
    shape = task.input_shape
    if task.vocabulary and len(shape) == 1:
        return nn.Embedding(task.vocabulary, width), shape[0]
    if len(shape) == 2 and not task.vocabulary:
        return nn.Linear(shape[1], width), shape[0]
    if len(shape) != 3 or task.vocabulary or task.target_steps:
        raise UsageError(
            "transformer needs tokens, sequences (time, features), or images with one target, the data has "
            f"{task.described()}; use model: mlp"
        )
    channels, height, across = shape
    if height % patch or across % patch:
        raise UsageError(
            f"transformer cuts images into squares of side patch: {patch}, but they are {height} x {across}; use a "
            f"divisor of {math.gcd(height, across)}"
        )
    return nn.Linear(channels * patch**2, width), (height // patch) * (across // patch)


def _same(x: Tensor) -> Tensor:
    return x


MODEL = Model(
    "transformer",
    transformer,
    "encoder of attention and MLP layers, mean over tokens and a linear head; for images "
    "cut into squares, sequences and tokens",
)
