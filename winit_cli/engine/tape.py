"""What one trial measures, kept on its device until a chunk is read: the hot loop never waits for the device."""

from __future__ import annotations

import torch
from torch import Tensor

from winit_cli.engine.records import Chunk, Norms, Point, Split


class Tape:
    """Measurements of one trial. P parameters.

    ``diverged_step`` is the first step whose loss or gradient was not finite, known once a chunk was read.
    """

    def __init__(self, steps: int, every: int, test_every: int, device: str) -> None:
        self.steps, self.every, self.test_every = steps, every, test_every
        self.diverged_step: int | None = None
        self._finite = torch.ones(steps + 1, dtype=torch.bool, device=device)
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

    def watch(self, step: int, losses: Tensor, norms: Tensor) -> None:
        """Note whether a step's losses and gradient norms (P,), in double precision, are finite."""
        self._finite[step] &= torch.isfinite(losses).all() & torch.isfinite(norms).all()

    def point(self, step: int, split: Split, loss: Tensor, accuracy: Tensor) -> None:
        """Record a loss and an accuracy (NaN for none), 0-d tensors."""
        self._finite[step] &= torch.isfinite(loss)
        self._points.append((step, split))
        self._values.append(torch.stack([loss.double(), accuracy.double()]))

    def gradients(self, step: int, norms: Tensor) -> None:
        """Record the gradient norms (P,), NaN where there is none."""
        self._norm_steps.append(step)
        self._norms.append(norms)

    def chunk(self, step: int) -> Chunk:
        """Bring everything since the last chunk to the host, without what follows a divergence."""
        self.diverged_step = self._first_bad(step)
        values = torch.stack(self._values).tolist() if self._values else []
        norms = torch.stack(self._norms).tolist() if self._norms else []
        points = [
            Point(at, split, loss, None if accuracy != accuracy else accuracy)
            for (at, split), (loss, accuracy) in zip(self._points, values, strict=True)
            if self._before_divergence(at)
        ]
        kept = [
            Norms(at, [None if value != value else value for value in row])
            for at, row in zip(self._norm_steps, norms, strict=True)
            if self._before_divergence(at)
        ]
        for taken in (self._points, self._values, self._norm_steps, self._norms):
            taken.clear()
        return Chunk(step, points, kept)

    def _before_divergence(self, step: int) -> bool:
        return self.diverged_step is None or step < self.diverged_step

    def _first_bad(self, step: int) -> int | None:
        bad = (~self._finite[: step + 1]).nonzero()
        return int(bad[0]) if len(bad) else None
