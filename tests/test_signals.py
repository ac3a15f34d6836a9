"""Signals: a run stops at the next update with everything committed, or at once, and resumes to the same bytes."""

from __future__ import annotations

import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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
# One process that has torch loaded forks a child per run. It signals itself in the first trial or stack, at its 300th
# update.
FORKS = """
import json, os, signal, sys
import winit_cli.engine.serial as serial
from winit_cli.engine.stack import Stack
from winit_cli.cli import app

def signalling(real, count, numbers):
    def update(*arguments):
        real(*arguments)
        if next(count) == 300:
            for number in numbers:
                os.kill(os.getpid(), number)
    return update

def run(arguments, signals, ignored, said):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), 2)
    count = iter(range(1, 10**9))
    serial.update, Stack.update = (signalling(real, count, signals) for real in (serial.update, Stack.update))
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    app(arguments)

try:  # what every child would import
    app(["run", *sys.argv[1:]])
except SystemExit:
    print("loaded", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run(**json.loads(line))
        except SystemExit as end:
            code = end.code or 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.xdist_group("signals")]


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


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """The process that forks the runs."""
    folder = tmp_path_factory.mktemp("warm")
    command = [sys.executable, "-c", FORKS, str(write(folder / "c.yaml")), "--results", str(folder), "--quiet"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=os.environ | THREADS, **pipes) as process:
        assert process.stdin is not None and process.stdout is not None
        while process.stdout.readline() not in ("loaded\n", ""):
            pass
        yield process
        process.stdin.close()


def signalled(
    forks: subprocess.Popen[str], config: Path, results: Path, *numbers: int, ignored: Sequence[int] = ()
) -> tuple[int, str]:
    """How a run ended that got these signals, and what it said."""
    assert forks.stdin is not None and forks.stdout is not None
    said = config.with_name("said")
    arguments = ["run", str(config), "--results", str(results)]
    order = {"arguments": arguments, "signals": numbers, "ignored": ignored, "said": str(said)}
    forks.stdin.write(json.dumps(order) + "\n")
    forks.stdin.flush()
    return int(forks.stdout.readline()), said.read_text()


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
    number: signal.Signals,
    code: int,
    word: str,
    engine: str,
    forks: subprocess.Popen[str],
    tmp_path: Path,
    uninterrupted: dict[str, bytes],
) -> None:
    config, results = write_long(tmp_path, engine), tmp_path / "r"
    ended, said = signalled(forks, config, results, number)
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


def test_a_second_ctrl_c_stops_at_once(
    engine: str, forks: subprocess.Popen[str], tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    config, results = write_long(tmp_path, engine), tmp_path / "r"
    ended, said = signalled(forks, config, results, signal.SIGINT, signal.SIGINT)
    assert ended == 130 and said.splitlines()[-1] == f"winit: interrupted; {KEPT}"
    (run,) = results.iterdir()
    assert checkpoints(run) == []
    assert winit("run", config, "--results", results).exit_code == 0
    assert tables(run) == uninterrupted


def test_nohup_keeps_a_run_going(
    engine: str, forks: subprocess.Popen[str], tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    config, results = write_long(tmp_path, engine), tmp_path / "r"
    ended, _ = signalled(forks, config, results, signal.SIGHUP, ignored=[signal.SIGHUP])
    assert ended == 0
    (run,) = results.iterdir()
    assert tables(run) == uninterrupted


@pytest.mark.parametrize(
    "terminal", [pytest.param(False, id="pipe", marks=pytest.mark.slow), pytest.param(True, id="terminal")]
)
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
