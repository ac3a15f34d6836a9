"""The document that ``winit bench`` makes of its measurements. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from winit_cli.bench.cases import Case
from winit_cli.bench.timing import Timing, costs

SCRIPT, TUNED, AUTO = "script", "tuned", "auto"
ENGINES = ("serial", "stacked")


@dataclass
class Point:
    """One thing that is timed: a loop or an engine, with a number of trials. ``once`` times so many steps.

    ``steps`` are those of the next time, ``first`` are the seconds up to the first update when nothing was warm,
    ``spent`` those of all times.
    """

    method: str
    trials: int
    once: Callable[[int], Timing]
    steps: int
    timings: list[Timing] = field(default_factory=list)
    first: float | None = None
    spent: float = 0.0


def rows_of(case: Case, points: Sequence[Point], chosen: Mapping[int, str]) -> list[dict[str, Any]]:
    """A row for each point, and one for the engine that ``auto`` has ``chosen`` for each number of trials.

    The rows of loops, which know nothing of trials, have 1 and stand for any number.
    """
    measured = [_row(case, point) for point in points]
    references = {row["method"]: row["seconds"] for row in measured if row["method"] in (SCRIPT, TUNED)}
    for row in measured:
        for name in (SCRIPT, TUNED):
            row[f"against_{name}"] = references[name] / row["seconds"] if name in references else None
    by_engine = {(row["engine"], row["trials"]): row for row in measured}
    automatic = [{**by_engine[engine, trials], "method": AUTO} for trials, engine in chosen.items()]
    return measured + [{name: value for name, value in row.items() if name != "repeats"} for row in automatic]


def _row(case: Case, point: Point) -> dict[str, Any]:
    found = costs(point.timings)
    return {
        "case": case.name,
        "method": point.method,
        "engine": point.method if point.method in ENGINES else None,
        "trials": point.trials,
        "seconds": found.step,
        "trial_steps_per_second": 1 / found.step,
        "flops_per_second": case.flops / found.step,
        "startup_seconds": found.startup,
        "first_step_seconds": point.first,
        "peak_bytes": found.peak_bytes,
        "repeats": [asdict(timing) for timing in point.timings],
    }
