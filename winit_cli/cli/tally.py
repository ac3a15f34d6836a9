"""How far a run is, in updates: a stack ends all its trials at once, so the number of trials done says little."""

from __future__ import annotations

import time
from collections.abc import Callable


class Tally:
    """Counts trials that are done, updates that were ``made`` here, and those that are ``spared``: behind a checkpoint
    of an earlier start, after a divergence, or of a trial that failed. ``where`` tells where stacks train elsewhere."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self.trials = self.done = self.updates = self.made = self.spared = 0
        self.where = ""
        self.began = clock()

    def begin(self, trials: int, done: int, updates: int) -> None:
        """So many trials in all and done already; updates of the others."""
        self.trials, self.done, self.updates = trials, done, updates
        self.began = self.clock()

    @property
    def passed(self) -> int:
        """Updates that are no longer to come."""
        return self.made + self.spared

    def tenths(self) -> int:
        """How many tenths of the updates are no longer to come."""
        return 10 * self.passed // self.updates if self.updates else 10

    def __str__(self) -> str:
        """``12/60 trials, 34 %, 1,234 trial-steps/s, about 20 s left``."""
        share = self.passed / self.updates if self.updates else 1.0
        speed = self.made / max(self.clock() - self.began, 1e-9)
        said = f"{self.done}/{self.trials} trials, {100 * share:.0f} %, {speed:,.0f} trial-steps/s"
        left = self.updates - self.passed
        return f"{said}, about {_span(left / speed)} left" if self.made and left else said


def _span(seconds: float) -> str:
    """``42 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
