"""The measurements of ``winit bench``: everything about a case is timed in turn, round after round."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from winit_cli.bench.cases import Case
from winit_cli.bench.determinism import determinism_costs
from winit_cli.bench.document import AUTO, ENGINES, SCRIPT, TUNED, Point, rows_of
from winit_cli.bench.drawing import drawing_costs
from winit_cli.bench.engines import plan_of, time_engine
from winit_cli.bench.loops import LR, Script, Tuned
from winit_cli.bench.machine import bandwidth, kind_of, matmul_flops
from winit_cli.bench.pace import EVERY, PACES, Pace, likely_steps, more_steps
from winit_cli.bench.timing import Timing
from winit_cli.data.vision import import_torchvision
from winit_cli.environment import environment
from winit_cli.errors import UsageError

WARM_UP = 4  # updates of a loop before it is timed, beside the first
BUSY = 0.7  # processes that wait for a processor, on average over the last minute

Say = Callable[[str], None]


def bench(
    cases: Sequence[Case], trials: Sequence[int], device: str, repeats: int | None, say: Say = lambda text: None
) -> Iterator[dict[str, Any]]:
    """Measure cases with these numbers of trials, as often as ``repeats`` or what the pace allows, and say how it goes.

    Yields, after each case, what is measured by then: ``environment``, ``workload``, ``machine``, a fact sheet per
    case, and ``rows`` with all timings in seconds.
    """
    pace, load = PACES[kind_of(device)], os.getloadavg()[0]
    if load > BUSY:
        say(f"the machine is busy (load {load:.1f}), so the numbers will be off")
    loops = _loops(say)
    flops, bytes_ = matmul_flops(device), bandwidth(device)
    sheets: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for number, case in enumerate(cases, 1):
        points = list(_points(case, trials, device, pace, loops))
        _measure(points, pace, repeats, partial(_say_of, say, f"[{number}/{len(cases)}] {case.name}"))
        plans = {count: plan_of(case, count, AUTO, device, pace.train_size) for count in trials}
        rows += rows_of(case, points, {count: plan.engine for count, plan in plans.items()})
        drawing = drawing_costs(case, plans[trials[0]].trials[0], device)
        sheets.append(_sheet(case) | drawing | determinism_costs(case, trials[-1], device, pace.train_size))
        flops += matmul_flops(device)  # again: a machine may slow down
        yield {
            "environment": environment(device),
            "workload": {"scheme": "pytorch_default", "optimizer": "sgd", "lr": LR, "measure_every": EVERY}
            | asdict(pace),
            "machine": {
                "matmul_flops_per_second": max(flops),
                "bytes_per_second": max(bytes_),
                "load_before": load,
                "repeats": {"matmul_flops_per_second": flops, "bytes_per_second": bytes_},
            },
            "cases": [*sheets],
            "rows": [*rows],
        }


def _loops(say: Say) -> dict[str, type[Script] | type[Tuned]]:
    """The loops that can be timed."""
    try:
        import_torchvision()
    except UsageError as error:
        say(f"the loop over DataLoader is left out: {error}")
        return {TUNED: Tuned}
    return {SCRIPT: Script, TUNED: Tuned}


def _points(
    case: Case, trials: Sequence[int], device: str, pace: Pace, loops: dict[str, type[Script] | type[Tuned]]
) -> Iterator[Point]:
    part = plan_of(case, 1, AUTO, device, pace.train_size).settings[0].dataset.train
    for name, kind in loops.items():
        loop = kind(case, part, device)
        once = partial(_time_loop, loop, loop.seconds(1))
        loop.seconds(WARM_UP)
        yield Point(name, 1, once, EVERY)
    for count in trials:
        for engine in ENGINES if count <= pace.most_serial else ("stacked",):
            yield Point(engine, count, partial(time_engine, case, count, engine, device, pace), EVERY)


def _time_loop(loop: Script | Tuned, first: float, steps: int) -> Timing:
    return Timing(1, 0, steps, 0.0, loop.seconds(steps), first)


def _measure(points: Sequence[Point], pace: Pace, repeats: int | None, say: Say) -> None:
    """Every point once in each round, so that a machine that slows down slows all of them."""
    for number in range(repeats or pace.repeats):
        due = [point for point in points if repeats or number == 0 or point.spent < pace.budget]
        spent = sum(_once(point, points, pace) for point in due)
        if due:
            say(f"round {number + 1}, {len(due)} of {len(points)} timed in {spent:.0f} s")


def _once(point: Point, points: Sequence[Point], pace: Pace) -> float:
    """Time a point, with more steps until what they take stands out; returns the seconds that this took."""
    before = point.spent
    if not point.timings and point.method in ENGINES:
        tuned = next(other for other in points if other.method == TUNED)
        point.steps = likely_steps(point.trials * tuned.timings[0].cost, pace)
    while True:
        timing = point.once(point.steps)
        point.spent += timing.short + timing.long
        point.first = timing.first if point.first is None else point.first
        more = more_steps(point.steps, timing, pace)
        if more is None:
            point.timings.append(timing)
            return point.spent - before
        point.steps = more


def _say_of(say: Say, what: str, text: str) -> None:
    say(f"{what}: {text}")


def _sheet(case: Case) -> dict[str, Any]:
    options = dict(case.options)
    return {"case": case.name, "model": case.model, **options, "batch_size": case.batch_size, "flops": case.flops}
