"""Stacks that train as processes of their own: the same results, and nothing left behind, however one of them ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from commands import tables, winit_json, write
from small import Heard, bytes_of, rows, run_of

from winit_cli import workers
from winit_cli.engine.stack import Stack

pytestmark = pytest.mark.skipif(not workers.can_fork(), reason="stacks are threads here")
TWO = ("engine=stacked", "schemes=[kaiming_normal, xavier_normal, zeros]", "seeds=4")
LONG = {
    "schemes": ["kaiming_normal", "xavier_normal"],
    "train": {"lr": [0.1], "batch_size": 16, "steps": 600, "optimizer": "adam"},
    "measure": {"every": 100, "test_every": 300},
    "seeds": 4,
    "engine": "stacked",
}
# the first stack sends its parent a signal at its 300th update
FORKED = """
import os, sys
from winit_cli.cli import app
from winit_cli.engine.stack import Stack
number, file = int(sys.argv.pop(1)), sys.argv.pop(1)
real = Stack.update
def update(self, step):
    real(self, step)
    if step == 299 and self.trials[0].seed == 0:
        with open(file, "a") as told:
            told.write(f"{os.getpid()}\\n")
        os.kill(os.getppid(), number)
Stack.update = update
app()
"""


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Two stacks at once."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_processes_and_threads_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apart = run_of(tmp_path / "processes", *TWO)
    monkeypatch.setattr(workers, "can_fork", lambda: False)
    assert bytes_of(run_of(tmp_path / "threads", *TWO)) == bytes_of(apart)
    assert len(rows(apart, "trials", status="ok")) == 12


@pytest.mark.usefixtures("two_threads")
def test_a_process_that_is_killed_is_trained_as_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, parent = Stack.update, os.getpid()

    def update(stack: Stack, step: int) -> None:
        if os.getpid() != parent and len(stack.trials) > 3:
            os.kill(os.getpid(), signal.SIGKILL)
        real(stack, step)

    monkeypatch.setattr(Stack, "update", update)
    heard = Heard()
    assert run_of(tmp_path, *TWO, heard=heard).counts["ok"] == 12
    assert sum("ran out of memory and is trained as two" in note for note in heard.notes) == 2


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("kind", [ValueError, OSError, EOFError, SystemExit])
def test_what_a_process_raises_is_told(
    kind: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def update(stack: Stack, step: int) -> None:
        raise kind("no more")

    monkeypatch.setattr(Stack, "update", update)
    result = run_of(tmp_path, *TWO)
    assert result.counts["failed"] == 12
    assert all("no more" in failure for failure in result.failures)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of a run in one go."""
    folder = tmp_path_factory.mktemp("whole")
    torch.set_num_threads(2)
    run = winit_json("run", write(folder / "c.yaml", **LONG), "--results", folder / "r", "--quiet")["run"]
    torch.set_num_threads(1)
    return tables(Path(run))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    "number", [*(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGINT, signal.SIGTERM)), signal.SIGKILL]
)
def test_a_parent_that_ends_leaves_no_child_and_the_run_goes_on(
    number: signal.Signals, tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    config, told = write(tmp_path / "c.yaml", **LONG), tmp_path / "children"
    arguments = ["run", str(config), "--results", str(tmp_path / "r")]
    command = [sys.executable, "-c", FORKED, str(int(number)), str(told), *arguments]
    env = os.environ | {"OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}.get(number, -number), done.stderr
    for child in told.read_text().split():
        assert has_ended(int(child))
    winit_json(*arguments)
    (run,) = (tmp_path / "r").iterdir()
    assert tables(run) == uninterrupted


def has_ended(process: int) -> bool:
    """Wait for the end of a process that is not a child of this one."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(process)
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        ended = bool(waiting.poll(20_000))
        os.close(handle)
        return ended
    return True
