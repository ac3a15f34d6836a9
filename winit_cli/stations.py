"""A worker process for each device of this machine, which take the stacks of a run one after another."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing import connection as connections
from multiprocessing.connection import Connection
from typing import cast

from winit_cli.data.dataset import Dataset
from winit_cli.station import ASK, GO_ON, Answer, Setup
from winit_cli.training import Job
from winit_cli.workers import Job as AnyJob
from winit_cli.workers import died, raising

CHILD = "import sys; sys.path[:] = sys.argv[2:]; from winit_cli.station import main; main(int(sys.argv[1]))"
LOOK_SECONDS = 0.2  # between two looks whether a signal has come


@dataclass
class _Child:
    """The process of a device; it has none before its first order, and after it has died."""

    device: str
    process: subprocess.Popen[bytes] | None = None
    here: Connection | None = None
    was_asked: bool = False

    def connected(self, setup: Setup, datasets: list[Dataset]) -> Connection:
        """The way to the process, which is started if need be."""
        if self.here is None:
            self.here, there = Pipe()
            command = [sys.executable, "-c", CHILD, str(there.fileno()), *sys.path]
            # a session of its own, since the parent asks for what a signal from the keyboard asks for
            self.process = subprocess.Popen(command, pass_fds=[there.fileno()], start_new_session=True)
            there.close()
            with contextlib.suppress(OSError):  # one that is gone is noticed as it is waited for
                self.here.send_bytes(pickle.dumps((setup, datasets, self.device)))
        return self.here

    def end(self) -> int:
        """End the process, wherever it is; returns how it ended."""
        assert self.here is not None and self.process is not None
        self.here.close()
        self.process.kill()
        code, self.here, self.process = self.process.wait(), None, None
        return code


class Stations:
    """A pool with a process for each device, with what torch has there; a device that is named twice has two."""

    def __init__(self, devices: Sequence[str], setup: Setup, datasets: list[Dataset]) -> None:
        self.workers = len(devices)
        self._idle = [_Child(device) for device in devices]
        self._setup, self._datasets = setup, datasets
        self._busy: dict[Connection, tuple[_Child, Job]] = {}
        self._paused: dict[int, _Child] = {}

    @property
    def running(self) -> int:
        """How many jobs run at the moment."""
        return len(self._busy)

    def start(self, job: AnyJob) -> None:
        child = self._idle.pop(0)
        self._send(child, cast(Job, job), cast(Job, job).order)

    def resume(self, job: AnyJob) -> None:
        self._send(self._paused.pop(id(job)), cast(Job, job), GO_ON)

    def next(self) -> tuple[AnyJob, Callable[[], object]]:
        ready: list[object] = []
        while not ready:
            self._ask_if_asked()
            ready = list(connections.wait(list(self._busy), LOOK_SECONDS))
        here = cast(Connection, ready[0])
        child, job = self._busy.pop(here)
        try:
            answer: Answer = here.recv()
        except (EOFError, OSError):
            assert child.process is not None
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.process.wait(1)  # its own end is what is told
            self._idle.append(child)
            return job, raising(died(child.end()))
        if answer.kind == "records":
            self._paused[id(job)] = child
        else:
            self._idle.append(child)
        return job, entered(job, answer)

    def close(self) -> None:
        """End all processes, wherever they are."""
        for child in (*self._idle, *self._paused.values(), *(child for child, _ in self._busy.values())):
            if child.here is not None:
                child.end()

    def _send(self, child: _Child, job: Job, message: object) -> None:
        here = child.connected(self._setup, self._datasets)
        with contextlib.suppress(OSError):
            here.send(message)
        self._busy[here] = child, job

    def _ask_if_asked(self) -> None:
        """Pass on, once, that a signal has come."""
        for here, (child, job) in self._busy.items():
            if job.timer.cadence.is_asked and not child.was_asked:
                child.was_asked = True
                with contextlib.suppress(OSError):
                    here.send(ASK)


@contextlib.contextmanager
def stations(devices: Sequence[str], setup: Setup, datasets: list[Dataset]) -> Iterator[Stations]:
    """A pool with a process for each device."""
    pool = Stations(devices, setup, datasets)
    try:
        yield pool
    finally:
        pool.close()


def entered(job: Job, answer: Answer) -> Callable[[], object]:
    """Note what a station says of the job's timer and time; returns what gives its records, ``None`` at its end, or
    raises what it raised."""
    job.timer.is_waiting, job.timer.handed_over = answer.is_waiting, answer.handed_over
    job.began = time.perf_counter() - answer.seconds
    return raising(cast(BaseException, answer.value)) if answer.kind == "raised" else lambda: answer.value
