"""Residual blocks. C channels or features, … any number of leading dimensions.

He, Zhang, Ren & Sun 2016, Deep residual learning for image recognition (arXiv:1512.03385).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

BranchScale = Literal["none", "learned"]


class Scale(nn.Module):
    """A learned number that multiplies, 1 at the start (ReZero's alpha, SkipInit's, Fixup's multiplier)."""

    factor: nn.Parameter  # (1,)

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.empty(1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The block adds its whole branch."""
        nn.init.ones_(self.factor)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Branch(nn.Module):
    """Layers with norms, an activation between them and none behind the last: (…, C) → (…, C)."""

    def __init__(
        self, layers: Sequence[nn.Module], norms: Sequence[nn.Module], activation: Callable[[Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.layers, self.norms = nn.ModuleList(layers), nn.ModuleList(norms)
        self._function = activation

    def forward(self, x: Tensor) -> Tensor:
        for index, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = norm(layer(self._function(x) if index else x))
        return x


class Block(nn.Module):
    """activation(norm(skip_scale · x + scale · branch(x))): (…, C) → (…, C); with the norm first
    activation(skip_scale · x + scale · branch(norm(x)))."""

    def __init__(
        self,
        branch: nn.Module,
        branch_scale: BranchScale,
        activation: Callable[[Tensor], Tensor],
        norm: nn.Module | None = None,
        *,
        norm_first: bool = False,
        skip_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.norm, self.norm_first, self.skip_scale = norm or nn.Identity(), norm_first, skip_scale
        self.branch = branch
        self.scale = Scale() if branch_scale == "learned" else nn.Identity()
        self._function = activation

    def forward(self, x: Tensor) -> Tensor:
        added = self.scale(self.branch(self.norm(x) if self.norm_first else x))
        x = torch.add(added, x, alpha=self.skip_scale)
        return self._function(x if self.norm_first else self.norm(x))
