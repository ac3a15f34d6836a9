"""Signals: a run stops at the next update with everything committed, or at once, and resumes to the same bytes."""

from __future__ import annotations

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from commands import tables, winit, winit_json, write

THREADS = {"OMP_NUM_THREADS": "1"}
KEPT = "what was recorded is kept, and the same command goes on from there"
LONG = {
    "schemes": ["kaiming_normal", "zeros"],
    "train": {"lr": [0.1], "batch_size": 16, "steps": 600, "optimizer": "adam"},
    "measure": {"every": 100, "test_every": 300},
    "seeds": 2,
}
# signals itself in the first trial or stack, at its 300th update
SELF = """
import os, signal, sys, winit_cli.engine.serial as serial
from winit_cli.engine.stack import Stack
from winit_cli.cli import app
count = iter(range(1, 10**9))
numbers = [int(number) for number in sys.argv.pop(1).split(",")]
def signalling(real):
    def update(*arguments):
        real(*arguments)
        if next(count) == 300:
            for number in numbers:
                os.kill(os.getpid(), number)
    return update
serial.update = signalling(serial.update)
Stack.update = signalling(Stack.update)
app()
"""

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(params=[pytest.param("serial", marks=pytest.mark.slow), "stacked"], scope="module")
def engine(request: pytest.FixtureRequest) -> str:
    """What trains."""
    return str(request.param)


@pytest.fixture(scope="module")
def uninterrupted(engine: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of the same config run in one go, by one thread."""
    folder, threads = tmp_path_factory.mktemp("whole"), torch.get_num_threads()
    torch.set_num_threads(1)
    run = winit_json("run", write_long(folder, engine), "--results", folder / "r", "--quiet")["run"]
    torch.set_num_threads(threads)
    return tables(Path(run))


def write_long(folder: Path, engine: str) -> Path:
    """The config of a run that takes a moment."""
    return write(folder / "c.yaml", **LONG, engine=engine)


def signalled(
    config: Path, results: Path, *numbers: int, before: Callable[[], object] | None = None
) -> tuple[int, str]:
    """How a run ended that got these signals, and what it said."""
    listed = ",".join(str(int(number)) for number in numbers)
    command = [sys.executable, "-c", SELF, listed, "run", str(config), "--results", str(results)]
    done = subprocess.run(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | THREADS, check=False, preexec_fn=before
    )
    return done.returncode, done.stderr


def checkpoints(run: Path) -> list[tuple[int, int]]:
    """Trial and step of every checkpoint in a run."""
    with sqlite3.connect(run / "run.sqlite") as connection:
        found = connection.execute("SELECT DISTINCT trial_id, step FROM checkpoints").fetchall()
    connection.close()
    return found


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated"), (signal.SIGHUP, 129, "terminated")],
    ids=["Ctrl-C", "SIGTERM", "SIGHUP"],
)
def test_a_signal_commits_what_there_is_and_the_run_goes_on_from_there(
    number: signal.Signals, code: int, word: str, engine: str, tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    config, results = write_long(tmp_path, engine), tmp_path / "r"
    ended, said = signalled(config, results, number)
    assert ended == code
    assert said.splitlines()[-1] == f"winit: {word}; {KEPT}"
    assert "winit: stopping at the next update; once more stops at once" in said
    assert "Traceback" not in said
    (run,) = results.iterdir()
    assert json.loads((run / "status.json").read_text())["state"] == "interrupted"
    assert not (run / "trials.csv").exists(), "tables are written at the end"
    assert checkpoints(run) == [(trial, 300) for trial in range({"serial": 1, "stacked": 4}[engine])]

    resumed = winit("run", config, "--results", results)
    assert resumed.exit_code == 0
    assert tables(run) == uninterrupted
    assert checkpoints(run) == []
    assert json.loads((run / "status.json").read_text())["state"] == "complete"


def test_a_second_ctrl_c_stops_at_once(engine: str, tmp_path: Path, uninterrupted: dict[str, bytes]) -> None:
    config, results = write_long(tmp_path, engine), tmp_path / "r"
    ended, said = signalled(config, results, signal.SIGINT, signal.SIGINT)
    assert ended == 130 and said.splitlines()[-1] == f"winit: interrupted; {KEPT}"
    (run,) = results.iterdir()
    assert checkpoints(run) == []
    assert winit("run", config, "--results", results).exit_code == 0
    assert tables(run) == uninterrupted


def test_nohup_keeps_a_run_going(engine: str, tmp_path: Path, uninterrupted: dict[str, bytes]) -> None:
    config, results = write_long(tmp_path, engine), tmp_path / "r"
    ended, _ = signalled(config, results, signal.SIGHUP, before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    assert ended == 0
    (run,) = results.iterdir()
    assert tables(run) == uninterrupted


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "terminal"])
def test_a_run_outlives_whoever_listened(
    terminal: bool, engine: str, tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    """``winit run … 2>&1 | head -1``, or a terminal that is closed under ``nohup``: the results are whole."""
    config, results = write_long(tmp_path, engine), tmp_path / "r"
    reading, writing = pty.openpty() if terminal else os.pipe()
    command = [sys.executable, "-m", "winit_cli", "run", str(config), "--results", str(results)]
    with subprocess.Popen(command, stdout=writing, stderr=writing, env=os.environ | THREADS) as process:
        os.close(writing)
        os.read(reading, 1)
        os.close(reading)
        process.wait()
    (run,) = results.iterdir()
    assert tables(run) == uninterrupted
