"""What the twins of all layers share. S trials in a stack, G runs of neighbours that share their input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

Run = tuple[int, int]
LINE = 16  # numbers in a line of the cache (64 bytes in single precision), at which what is read together begins


class Twin(nn.Module):
    """The parameters and buffers of S layers, stacked under the names that they have in one.

    An input is (S, …), or (G, …) where each of the ``runs`` (start, end) of trials shares one, or (1, …) where all do.
    """

    def __init__(self, layers: Sequence[nn.Module], runs: Sequence[Run]) -> None:
        super().__init__()
        for name, parameter in layers[0].named_parameters():
            stacked = torch.stack([cast(Tensor, getattr(layer, name)).detach() for layer in layers])
            self.register_parameter(name, nn.Parameter(stacked, requires_grad=parameter.requires_grad))
        for name, _ in layers[0].named_buffers():
            self.register_buffer(name, torch.stack([cast(Tensor, getattr(layer, name)) for layer in layers]))
        self.trials, self.runs = len(layers), list(runs)

    def runs_of(self, x: Tensor) -> Sequence[Run]:
        """Which trials read each row of an input."""
        if len(x) == self.trials:
            return [(place, place + 1) for place in range(self.trials)]
        return [(0, self.trials)] if len(x) == 1 else self.runs

    def spread(self, x: Tensor) -> Tensor:
        """An input (S, …) with a row for every trial."""
        if len(x) == self.trials:
            return x
        return torch.cat(
            [row.expand(end - start, *row.shape) for row, (start, end) in zip(x, self.runs_of(x), strict=True)]
        )

    def rows(self, x: Tensor) -> list[Tensor]:
        """The input of every trial."""
        return [row for row, (start, end) in zip(each(x), self.runs_of(x), strict=True) for _ in range(start, end)]

    def of_each(self, name: str) -> Sequence[Tensor | None]:
        """A parameter of every trial; ``None`` for those that the layer does not have."""
        stacked = getattr(self, name, None)
        return [None] * self.trials if stacked is None else each(stacked)


def each(x: Tensor) -> list[Tensor]:
    """The parts of (S, …); one alone keeps its layout in memory, and so does its gradient."""
    return [x.squeeze(0)] if len(x) == 1 else list(x.unbind())


def joined(outs: list[Tensor]) -> Tensor:
    """The opposite of ``each``."""
    return outs[0].unsqueeze(0) if len(outs) == 1 else torch.stack(outs)


def side_by_side(x: Tensor) -> Tensor:
    """(S, B, C, …) → (B, S · C, …)."""
    return x.transpose(0, 1).flatten(1, 2)


def apart(x: Tensor, trials: int) -> Tensor:
    """(B, S · C, …) → (S, B, C, …)."""
    return x.reshape(len(x), trials, -1, *x.shape[2:]).transpose(0, 1)


def aligned(vector: Any, x: Tensor, dim: int) -> Tensor:
    """(S, C) in the shape that multiplies (S, …, C, …), C at ``dim``."""
    shape = [1] * x.dim()
    shape[0], shape[dim] = vector.shape
    return cast(Tensor, vector).reshape(shape)
