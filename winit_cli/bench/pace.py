"""How long is measured: enough to rise above the noise, and no longer. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from winit_cli.bench.timing import Timing

EVERY = 10  # steps between the measurements of training, for everything that is timed
MOST_STEPS = 20_000


@dataclass(frozen=True)
class Pace:
    """Times in seconds. ``short_steps`` of a short run; a long one must take ``least`` more, and half as much as the
    short one, or else is run again with more steps, meant to take ``target``. Unless a number of repeats is asked for,
    what has taken ``budget`` is not repeated. ``train_size`` images to train on: few, since every trial ends with the
    loss over all of them. More than ``most_serial`` trials one after another are not timed: each costs the same.
    """

    short_steps: int
    least: float
    target: float
    budget: float
    train_size: int
    most_serial: int
    repeats: int = 3


# a graph is captured in the first steps on a GPU, and evaluation is cheap there
PACES = {"cpu": Pace(1, 0.3, 0.6, 3.0, 640, 64), "cuda": Pace(10, 0.2, 0.4, 4.0, 4000, 8)}


def likely_steps(seconds: float, pace: Pace) -> int:
    """As many steps as take the target if one of them takes so many seconds."""
    return _tens(pace.target / seconds)


def more_steps(steps: int, timing: Timing, pace: Pace) -> int | None:
    """How many steps to try instead of ``steps`` that were timed; ``None`` if these will do."""
    wanted = max(pace.least, timing.short / 2)
    if timing.difference >= wanted or steps >= MOST_STEPS:
        return None
    factor = min(20.0, max(2.0, max(pace.target, wanted) / max(timing.difference, 1e-9)))
    return _tens(steps * factor)


def _tens(steps: float) -> int:
    return min(MOST_STEPS, max(1, round(steps / EVERY)) * EVERY)
