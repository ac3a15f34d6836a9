"""What is kept when a trial fails, a run is interrupted or killed, or the disk is full."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from small import BASE, Heard, bytes_of, column, rows, run_of
from typer.testing import CliRunner

from winit_cli import orders, runner, stopping
from winit_cli.cli import app
from winit_cli.data.dataset import Dataset
from winit_cli.engine import stack
from winit_cli.engine.initial import Initial, initialized
from winit_cli.engine.serial import train_trial
from winit_cli.engine.stacked import train_stack
from winit_cli.errors import StorageError
from winit_cli.plan import Trial
from winit_cli.store.frames import read_run
from winit_cli.store.reading import FILE
from winit_cli.store.runs import run_facts
from winit_cli.store.store import Store

TWO = ("schemes=[kaiming_normal, zeros]", "vary.model.width=[6, 7]", "seeds=1")  # two stacks of two trials
THIRD = "kaiming_normal@width=7/0.1/0"
ENGINES = ["serial", "stacked"]

pytestmark = pytest.mark.usefixtures("one_thread")


class Stop(BaseException):
    """Something that ends the process, like Ctrl-C."""


def break_off(monkeypatch: pytest.MonkeyPatch, key: str, error: BaseException, after: int = 2) -> None:
    """Make the trial ``key``, or a stack with it, raise after so many records (its start and a chunk, say)."""

    def broken(trial: Trial, data: Dataset, *more: Any) -> Iterator[Any]:
        for index, record in enumerate(train_trial(trial, data, *more)):
            if trial.key == key and index == after:
                raise error
            yield record

    def broken_stack(trials: Sequence[Trial], data: Dataset, *more: Any, **named: Any) -> Iterator[Any]:
        for index, records in enumerate(train_stack(trials, data, *more, **named)):
            if key in [trial.key for trial in trials] and index == after:
                raise error
            yield records

    monkeypatch.setattr(orders, "train_trial", broken)
    monkeypatch.setattr(orders, "train_stack", broken_stack)


@pytest.mark.parametrize(
    ("engine", "fails"), [("serial", [THIRD]), ("stacked", [THIRD, "zeros@width=7/0.1/0"])], ids=ENGINES
)
def test_a_failing_trial_is_recorded_and_the_others_go_on(
    engine: str, fails: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trials of a stack fail together."""
    settings = (*TWO, f"engine={engine}")
    wanted = bytes_of(run_of(tmp_path / "whole", *settings))
    with monkeypatch.context() as patch:
        break_off(patch, THIRD, RuntimeError("no luck"))
        # commit every chunk, so that what fails has rows on disk
        result = run_of(tmp_path / "broken", *settings, "checkpoint_seconds=1e-9")
    assert result.counts == {"ok": 4 - len(fails), "diverged": 0, "failed": len(fails), "pending": 0}
    for key, failure in zip(fails, result.failures, strict=True):
        assert failure.startswith(f"{key} failed: ")
        assert failure.endswith("RuntimeError: no luck") and "test_resume.py:" in failure
    failed = rows(result, "trials", status="failed")
    assert [(row["trial"], row["outcome"], row["init_hash"]) for row in failed] == [(key, "", "") for key in fails]
    for table in ("curves", "gradients", "init"):
        assert not {row["trial"] for row in rows(result, table)} & set(fails)
    assert json.loads((result.directory / "status.json").read_text())["state"] == "failed"

    again = Heard()
    repaired = run_of(tmp_path / "broken", *settings, "checkpoint_seconds=1e-9", heard=again)
    assert again.done == [(key, "ok") for key in fails]
    assert bytes_of(repaired) == wanted
    assert json.loads((result.directory / "status.json").read_text())["state"] == "complete"


def test_a_trial_that_cannot_begin_leaves_its_stack_to_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (*TWO, "seeds=2", "engine=stacked")
    whole = run_of(tmp_path / "whole", *settings)
    key = "zeros@width=7/0.1/1"

    def broken(trial: Trial) -> Initial:
        if trial.key == key:
            raise RuntimeError("no luck")
        return initialized(trial)

    with monkeypatch.context() as patch:
        patch.setattr(stack, "initialized", broken)
        result = run_of(tmp_path / "broken", *settings)
    assert result.failures == [f"{key} failed: {result.failures[0].split('failed: ')[1]}"]
    assert result.failures[0].endswith("RuntimeError: no luck") and "test_resume.py:" in result.failures[0]
    assert result.counts == {"ok": 7, "diverged": 0, "failed": 1, "pending": 0}
    repaired = run_of(tmp_path / "broken", *settings)
    assert repaired.counts["ok"] == 8
    finals = [column(found, "trials", "final_train_loss") for found in (repaired, whole)]
    assert finals[0] == pytest.approx(finals[1], rel=2e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_failed_trial_exits_1_and_the_same_command_trains_it(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "small.yaml"
    config.write_text(BASE + f"engine: {engine}\n")
    command = ["run", str(config), "--results", str(tmp_path / "results")]
    with monkeypatch.context() as patch:
        break_off(patch, "kaiming_normal/0.1/0", RuntimeError("no luck"))
        broken = CliRunner().invoke(app, command)
    assert broken.exit_code == 1
    assert "no luck" in broken.stderr and "Traceback" not in broken.stderr
    assert CliRunner().invoke(app, command).exit_code == 0


@pytest.mark.parametrize("after", [1, 2, 3])
@pytest.mark.parametrize("seconds", [1e-9, 15])
@pytest.mark.parametrize("engine", ENGINES)
def test_an_interrupted_run_resumes_to_the_same_bytes(
    engine: str, after: int, seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (*TWO, f"engine={engine}", f"checkpoint_seconds={seconds}")
    wanted = bytes_of(run_of(tmp_path / "whole", *settings))
    with monkeypatch.context() as patch:
        break_off(patch, THIRD, Stop(), after)
        with pytest.raises(Stop):
            run_of(tmp_path / "broken", *settings)
    directory = next((tmp_path / "broken").iterdir())
    assert json.loads((directory / "status.json").read_text()) == {
        "state": "interrupted",
        "trials": {"ok": 2, "diverged": 0, "failed": 0, "pending": 2},
    }
    heard = Heard()
    result = run_of(tmp_path / "broken", *settings, heard=heard)
    assert heard.begun == (4, 2, 12)
    assert bytes_of(result) == wanted


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_run_can_be_read_and_goes_on(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kill leaves half of a transaction in the file, and the journal that takes it back."""
    settings = (*TWO, f"engine={engine}")
    wanted = bytes_of(run_of(tmp_path / "whole", *settings))
    with monkeypatch.context() as patch:
        break_off(patch, THIRD, Stop())
        with pytest.raises(Stop):
            run_of(tmp_path / "killed", *settings)
    directory = next((tmp_path / "killed").iterdir())
    killed = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 5")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE trials SET status = 'ok'")
connection.executemany("INSERT INTO gradients VALUES (1, ?, 0, 0.5)", [(step,) for step in range(100, 4000)])
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", killed, directory / FILE], check=False).returncode == 9
    assert (directory / f"{FILE}-journal").stat().st_size > 0
    assert list(read_run(directory).trials["status"]) == ["ok", "ok", "pending", "pending"]
    assert run_facts(directory)["status"]["state"] == "interrupted"
    assert bytes_of(run_of(tmp_path / "killed", *settings)) == wanted


def test_a_complete_run_is_not_trained_again(tmp_path: Path) -> None:
    first, heard = run_of(tmp_path), Heard()
    before = bytes_of(first)
    second = run_of(tmp_path, heard=heard)
    assert (first.was_complete, second.was_complete) == (False, True)
    assert heard.done == [] and heard.notes == [] and bytes_of(second) == before


@pytest.mark.parametrize(("engine", "left"), [("serial", 3), ("stacked", 2)], ids=ENGINES)
def test_a_full_disk_keeps_what_was_committed(
    engine: str, left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends first is committed: a trial, or a stack of two."""

    class Full(Store):
        def commit(self, trials: Iterable[int]) -> None:
            super().commit(trials)
            (pages,) = self.connection.execute("PRAGMA page_count").fetchone()
            self.connection.execute(f"PRAGMA max_page_count = {pages}")

    settings = (*TWO, f"engine={engine}", "measure.every=1", "train.steps=60")
    wanted = bytes_of(run_of(tmp_path / "whole", *settings))
    with monkeypatch.context() as patch:
        patch.setattr(runner, "Store", Full)
        with pytest.raises(StorageError, match=r"cannot use .*: database or disk is full\. What was recorded before"):
            run_of(tmp_path / "full", *settings)
    heard = Heard()
    result = run_of(tmp_path / "full", *settings, heard=heard)
    assert heard.done == [(row["trial"], "ok") for row in rows(result, "trials")[-left:]]
    assert bytes_of(result) == wanted


@pytest.mark.parametrize("engine", ENGINES)
def test_a_finished_run_gives_back_the_space_of_its_checkpoints(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = ("model.width=300", "train.optimizer=adam", f"engine={engine}")
    without = run_of(tmp_path / "without", *wide)
    monkeypatch.setattr(stopping, "COST", 0)
    result = run_of(tmp_path / "with", *wide, "checkpoint_seconds=1e-9")
    sizes = [(run.directory / FILE).stat().st_size for run in (without, result)]
    assert sizes[0] * 0.8 < sizes[1] < sizes[0] * 1.2 < 300 * 300 * 4 * 3


OUT_OF_MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried"),
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["python", "cuda", "torch"])
def test_a_trial_without_memory_says_so_and_the_others_go_on(
    error: Exception, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stack is halved until the trial is alone."""
    break_off(monkeypatch, "kaiming_normal/0.1/0", error)
    result = run_of(tmp_path, f"engine={engine}")
    assert result.counts == {"ok": 1, "diverged": 0, "failed": 1, "pending": 0}
    assert result.failures[0].endswith("out of memory; use a smaller model, batch or data set")
