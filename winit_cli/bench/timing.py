"""From timings to costs. Needs no torch.

A trial-step is one update of one trial. What it costs is marginal: the wall time of a long run less that of a short
one, over the trial-steps that the long one has more. What both pay once (drawing weights, tests, tables) cancels out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Timing:
    """Wall times in seconds of a short and a long run of ``trials`` trials, of so many steps each.

    A loop that has no fixed costs has a short run of nothing. ``first`` is the time that training took up to the first
    update, ``peak_bytes`` what the long run took of memory at most, where the system tells.
    """

    trials: int
    short_steps: int
    long_steps: int
    short: float
    long: float
    first: float
    peak_bytes: int | None = None

    @property
    def difference(self) -> float:
        """Seconds that the long run took more."""
        return self.long - self.short

    @property
    def cost(self) -> float:
        """Seconds per trial-step; not a number where the long run was no longer, so that noise is all there is."""
        added = self.trials * (self.long_steps - self.short_steps)
        return self.difference / added if self.difference > 0 else math.nan

    @property
    def startup(self) -> float:
        """Seconds of the short run that its steps do not account for."""
        rest = self.short - self.trials * self.short_steps * self.cost
        return math.nan if math.isnan(rest) else max(0.0, rest)


@dataclass(frozen=True)
class Costs:
    """Medians over the repeats, in seconds, and the most memory that any of them took."""

    step: float
    startup: float
    peak_bytes: int | None


def costs(timings: Sequence[Timing]) -> Costs:
    """What repeats of one measurement say together; those that noise has swallowed are left out."""
    peaks = [timing.peak_bytes for timing in timings if timing.peak_bytes is not None]
    return Costs(
        _median([timing.cost for timing in timings]),
        _median([timing.startup for timing in timings]),
        max(peaks, default=None),
    )


def _median(values: Sequence[float]) -> float:
    numbers = [value for value in values if not math.isnan(value)]
    return median(numbers) if numbers else math.nan
