"""What trials measure, kept on their device until a chunk is read: the hot loop never waits for a GPU.

S trials side by side, P parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from winit_cli.engine.records import Chunk, Norms, Point, Split


class Tape:
    """Measurements of S trials.

    ``diverged`` are their first steps whose loss or gradient was not finite, known once a chunk was read.
    """

    def __init__(self, trials: int, steps: int, every: int, test_every: int, device: str) -> None:
        self.steps, self.every, self.test_every = steps, every, test_every
        self.diverged: list[int | None] = [None] * trials
        self.first_bad = torch.full((trials,), -1, device=device)
        self._points: list[tuple[int, Split]] = []
        self._values: list[Tensor] = []
        self._norm_steps: list[int] = []
        self._norms: list[Tensor] = []

    def measures(self, step: int) -> bool:
        """Whether the training batch and its gradients are recorded: every k steps, and at the last."""
        return step % self.every == 0 or step == self.steps

    def tests(self, step: int) -> bool:
        """Whether the held-out parts are recorded: every k steps, and at the last."""
        return step % self.test_every == 0 or step == self.steps

    def watch(self, step: int | Tensor, values: Sequence[Tensor]) -> None:
        """Note which trials have anything that is not finite in ``values``, each (S, …), at a step."""
        if not surely_finite(values):
            bad = ~are_finite(values) & (self.first_bad < 0)
            self.first_bad.copy_(torch.where(bad, step, self.first_bad))

    def point(self, step: int, split: Split, loss: Tensor, accuracy: Tensor) -> None:
        """Record losses (S,) and accuracies (S,), NaN for none."""
        self.watch(step, [loss])
        self._points.append((step, split))
        self._values.append(torch.stack([loss.double(), accuracy.double()], 1))

    def gradients(self, step: int, norms: Tensor) -> None:
        """Record the gradient norms (S, P), NaN where there is none."""
        self._norm_steps.append(step)
        self._norms.append(norms)

    def chunks(self, step: int) -> list[Chunk]:
        """Bring everything since the last chunk to the host, for each trial without what follows its divergence."""
        self.diverged = [None if bad < 0 else bad for bad in self.first_bad.tolist()]
        values = [value.tolist() for value in self._values]
        norms = [norm.tolist() for norm in self._norms]
        chunks = [self._chunk(trial, step, values, norms) for trial in range(len(self.diverged))]
        for taken in (self._points, self._values, self._norm_steps, self._norms):
            taken.clear()
        return chunks

    def _chunk(self, trial: int, step: int, values: list[list[list[float]]], norms: list[list[list[float]]]) -> Chunk:
        bad = self.diverged[trial]
        end = step + 1 if bad is None else bad
        points = [
            Point(at, split, row[trial][0], _number(row[trial][1]))
            for (at, split), row in zip(self._points, values, strict=True)
            if at < end
        ]
        kept = [
            Norms(at, [_number(value) for value in row[trial]])
            for at, row in zip(self._norm_steps, norms, strict=True)
            if at < end
        ]
        return Chunk(step, points, kept)


def surely_finite(values: Sequence[Tensor]) -> bool:
    """Whether a look at sums shows that all numbers are finite. Not on a GPU, where looking means waiting, nor where
    finite numbers have a sum that overflows, which is rare."""
    return values[0].device.type == "cpu" and math.isfinite(sum(float(value.sum()) for value in values))


def are_finite(values: Sequence[Tensor]) -> Tensor:
    """Which of S trials have only finite numbers in all of ``values``, each (S, …): (S,)."""
    largest = [torch.linalg.vector_norm(value.reshape(len(value), -1), math.inf, dim=1) for value in values]
    return torch.stack(largest).isfinite().all(0)


def _number(value: float) -> float | None:
    return None if value != value else value
