"""Timed runs of winit itself."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from winit_cli.bench.cases import Case
from winit_cli.bench.loops import LR
from winit_cli.bench.machine import PeakMemory, seconds_of
from winit_cli.bench.pace import EVERY, Pace
from winit_cli.bench.timing import Timing
from winit_cli.config import Document, resolve
from winit_cli.errors import WinitError
from winit_cli.plan import Plan, Trial, make_plan
from winit_cli.runner import How, run_plan

TEST_SIZE = 50  # the test part is measured twice in a run of any length


class _Clock:
    """A ``Progress`` that notes when training began and when its first update was made."""

    def __init__(self) -> None:
        self.began = self.first = 0.0

    def begin(self, trials: int, done: int, steps: int) -> None:
        self.began = time.perf_counter()

    def advance(self, steps: int) -> None:
        self.first = self.first or time.perf_counter()

    def spare(self, updates: int) -> None:
        pass

    def known(self, trial: Trial, status: str, final: float | None) -> None:
        pass

    def trial_done(self, trial: Trial, status: str, final: float | None) -> None:
        pass

    def where(self, text: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def plan_of(case: Case, trials: int, engine: str, device: str, train_size: int, steps: int = 1) -> Plan:
    """A run of one scheme from that many seeds, which share no batch and so are the dearest to stack."""
    config: dict[str, Any] = {
        "name": "bench",
        "model": {"name": case.model, **case.options},
        "data": {"name": "mnist", "source": "packaged", "train_size": train_size, "test_size": TEST_SIZE},
        "schemes": ["pytorch_default"],
        "train": {"optimizer": "sgd", "lr": LR, "batch_size": case.batch_size, "steps": steps},
        "seeds": trials,
        "measure": {"every": EVERY, "test_every": steps, "probe": 0},
        "engine": engine,
    }
    return make_plan(resolve(Document(config, "winit bench")), device)


def time_engine(case: Case, trials: int, engine: str, device: str, pace: Pace, steps: int) -> Timing:
    """A short run and one of ``steps`` more, each from nothing."""
    short_steps, long_steps = pace.short_steps, pace.short_steps + steps
    short, first, _ = _timed(plan_of(case, trials, engine, device, pace.train_size, short_steps), device)
    long, _, peak = _timed(plan_of(case, trials, engine, device, pace.train_size, long_steps), device)
    return Timing(trials, short_steps, long_steps, short, long, first, peak)


def _timed(plan: Plan, device: str) -> tuple[float, float, int | None]:
    """Wall time of a run, of its training up to the first update, and its peak of memory."""
    clock, memory = _Clock(), PeakMemory(device)
    with tempfile.TemporaryDirectory(prefix="winit-bench-") as results:
        memory.start()
        seconds = seconds_of(lambda: _run(plan, Path(results), clock), device)
        return seconds, clock.first - clock.began, memory.read()


def _run(plan: Plan, results: Path, clock: _Clock) -> None:
    failures = run_plan(plan, results, clock, How(fresh=True)).failures
    if failures:
        raise WinitError(f"a run that was timed has failed: {failures[0]}")
