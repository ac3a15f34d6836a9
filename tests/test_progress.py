"""What is told while a run goes on: updates of all trials, up to the last, whatever becomes of them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from small import Heard, plan_of, run_of
from test_memory import Stop
from test_stacks import ONE_DIVERGES

from winit_cli import orders, stopping
from winit_cli.cli.progress import Reporter, reporting
from winit_cli.cli.tally import Tally
from winit_cli.cli.terminal import Terminal
from winit_cli.engine.stacked import train_stack
from winit_cli.plan import Trial

THREE = ("schemes=[kaiming_normal, zeros, ones]", "seeds=4")


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("engine", ["stacked", "serial"])
def test_all_updates_are_told(engine: str, tmp_path: Path) -> None:
    heard = Heard()
    run_of(tmp_path, *THREE, f"engine={engine}", heard=heard)
    assert heard.begun == (12, 0, 72)
    assert (heard.steps, heard.spared) == (72, 0)


def test_variants_may_have_other_numbers_of_steps(tmp_path: Path) -> None:
    heard = Heard()
    run_of(tmp_path, "vary.train.steps=[4, 10]", "seeds=3", heard=heard)
    assert heard.begun == (6, 0, 42) and heard.steps == 42


@pytest.mark.parametrize("engine", ["stacked", "serial"])
def test_a_diverged_trial_is_spared_the_rest(engine: str, tmp_path: Path) -> None:
    heard = Heard()
    run_of(tmp_path, *ONE_DIVERGES, f"engine={engine}", heard=heard)
    assert [status for _, status in heard.done].count("diverged") == 2
    assert heard.begun == (4, 0, 120)
    assert heard.steps + heard.spared == 120 and heard.spared > 0


def test_a_failed_trial_is_spared_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(trial: Trial, *more: Any) -> Iterator[Any]:
        for index, record in enumerate(training_trial(trial, *more)):
            if trial.label == "ones" and index == 2:  # the beginning and the chunk of step 0 are past
                raise RuntimeError("no luck")
            yield record

    training_trial = orders.train_trial
    monkeypatch.setattr(orders, "train_trial", failing)
    heard = Heard()
    run_of(tmp_path, *THREE, "engine=serial", heard=heard)
    assert (heard.steps, heard.spared) == (48, 24)


@pytest.mark.parametrize("engine", ["stacked", "serial"])
def test_a_resumed_trial_is_spared_what_it_has(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = (*THREE, f"engine={engine}", "train.steps=60", "measure.test_every=10")

    class Stopping(Heard):
        def advance(self, updates: int) -> None:
            super().advance(updates)
            if self.steps > 12 * 25:
                raise Stop

    first = Stopping()
    monkeypatch.setattr(stopping, "COST", 0)
    with pytest.raises(Stop):
        run_of(tmp_path, *settings, "checkpoint_seconds=1e-9", heard=first)
    heard = Heard()
    result = run_of(tmp_path, *settings, "checkpoint_seconds=1e-9", heard=heard)
    _, done, updates = heard.begun
    assert result.counts["ok"] == 12 and updates == 60 * (12 - done)
    assert heard.steps + heard.spared == updates and heard.spared > 0


@pytest.mark.usefixtures("one_thread")
def test_what_a_halved_stack_repeats_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def limited(trials: Sequence[Trial], *more: Any, **named: Any) -> Iterator[Any]:
        for index, records in enumerate(train_stack(trials, *more, **named)):
            if len(trials) > 6 and index == 3:
                raise torch.OutOfMemoryError
            yield records

    monkeypatch.setattr(orders, "train_stack", limited)
    heard = Heard()
    run_of(tmp_path, *THREE, "engine=stacked", heard=heard)
    assert (heard.steps, heard.spared) == (72, 0)


def told(capsys: pytest.CaptureFixture[str], chunks: Sequence[int], trials: int) -> list[str]:
    """The plain lines of a run whose stack advances by so many updates per trial at a time."""
    reporter = Reporter(Terminal(), None)
    reporter.begin(trials, 0, trials * sum(chunks))
    for chunk in chunks:
        for _ in range(trials):
            reporter.advance(chunk)
    for trial in plan_of(f"seeds={trials}").trials:
        reporter.trial_done(trial, "ok", 0.5)
    return capsys.readouterr().err.splitlines()


CHUNKS = [([1] * 200, 30), ([20] * 10, 30), ([1] * 7, 1), ([50, 50], 3), ([5], 2)]


@pytest.mark.parametrize(("chunks", "trials"), CHUNKS)
def test_there_are_about_ten_plain_lines(
    chunks: Sequence[int], trials: int, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *lines = told(capsys, chunks, trials)
    assert first == f"{trials} trial{'s' if trials != 1 else ''} to train, {trials * sum(chunks):,} trial-steps"
    assert len(lines) <= 10 and (len(chunks) < 10 or len(lines) == 10)
    assert lines[-1].startswith(f"{trials}/{trials} trials, 100 %, ") and "left" not in lines[-1]
    assert all(line.startswith(f"0/{trials} trials, ") for line in lines[:-1])


def test_speed_and_time_left_are_over_what_was_made_here() -> None:
    clock = Clock()
    tally = Tally(clock)
    tally.begin(60, 20, 8000)
    assert str(tally) == "20/60 trials, 0 %, 0 trial-steps/s"
    tally.spared, clock.now = 2000, 1.0
    assert str(tally) == "20/60 trials, 25 %, 0 trial-steps/s"
    tally.made, clock.now = 2000, 20.0
    assert str(tally) == "20/60 trials, 50 %, 100 trial-steps/s, about 40 s left"
    clock.now = 100.0
    assert str(tally).endswith("20 trial-steps/s, about 3 min left")
    clock.now = 6000.0
    assert str(tally).endswith("about 3.3 h left")
    tally.made, tally.done = 6000, 60
    assert str(tally) == "60/60 trials, 100 %, 1 trial-steps/s"


def test_a_terminal_that_closes_as_the_bar_is_drawn_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("Input/output error")

    console = Console(file=Closed(), force_terminal=True)
    monkeypatch.setattr(Terminal, "err", console)
    with reporting(Terminal()) as reporter:
        reporter.begin(1, 0, 10)
        reporter.advance(10)


def test_the_bar_counts_updates() -> None:
    console = Console(file=io.StringIO(), width=80)
    bar = Progress(BarColumn(15), TextColumn("{task.description}"), console=console)
    reporter = Reporter(Terminal(), bar)
    reporter.begin(4, 1, 300)
    reporter.advance(100)
    reporter.spare(100)
    (task,) = bar.tasks
    assert (task.completed, task.total) == (200, 300)
    assert task.description.startswith("1/4 trials, 67 %, ")
    reporter.advance(100)
    assert task.finished
