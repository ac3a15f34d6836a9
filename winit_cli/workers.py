"""Jobs side by side: each runs up to what it yields, and goes on when that has been taken.

Small networks are many short operations, between which threads of one Python wait for each other (1.3 to 1.8 times the
time per step were measured), so jobs are processes of their own where a fork is safe: on Linux, and without a GPU,
whose libraries do not survive one. A process begins as a copy of this one, so it needs no data from it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from multiprocessing import Pipe
from multiprocessing import connection as connections
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn, Protocol

import torch

from winit_cli.errors import Unbegun, WinitError
from winit_cli.foreign import described, place_of
from winit_cli.stopping import SIGNALS, Timer

FILES = "/proc/self/fd"  # those that are open
KILLED = f"signal {int(signal.SIGKILL)}" if hasattr(signal, "SIGKILL") else ""


class Job(Protocol):
    """What yields records, and its timer, which is asked between two updates."""

    timer: Timer

    @property
    def records(self) -> Iterator[object]: ...


class JobError(Exception):
    """Why a job failed, in words; ``is_memory`` where it may fit in two halves, ``place`` where one of its trials alone
    is to blame."""

    def __init__(self, reason: str, is_memory: bool, place: int | None = None) -> None:
        super().__init__(reason, is_memory, place)
        self.reason, self.is_memory, self.place = reason, is_memory, place


class JobLost(Exception):
    """Why a worker is gone, in words; its job can go on elsewhere from what was committed."""


def job_error(error: BaseException) -> JobError:
    """The reason in words, with the line of a user's code."""
    if isinstance(error, JobError):
        return error
    if isinstance(error, Unbegun) and error.__cause__ is not None:
        return JobError(job_error(error.__cause__).reason, is_memory=False, place=error.place)
    is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
    said = "out of memory; use a smaller model, batch or data set" if is_memory else described(error)
    place = place_of(error)
    return JobError(f"{place}: {said}" if place else said, is_memory)


class Pool(Protocol):
    """Runs at most ``workers`` jobs side by side, ``running`` of them at the moment."""

    @property
    def workers(self) -> int: ...

    @property
    def running(self) -> int: ...

    def start(self, job: Job) -> None:
        """Begin a job."""

    def resume(self, job: Job) -> None:
        """Let a job go on after what it yielded."""

    def next(self) -> tuple[Job, Callable[[], object]]:
        """Wait for a job; returns it with what gives the records that it yielded, or ``None`` at its end, or raises
        what it raised."""


class Here:
    """One job at a time, by the caller, with the threads that torch has."""

    workers = 1

    running = 0

    def start(self, job: Job) -> None:
        self._job, self.running = job, 1

    resume = start

    def next(self) -> tuple[Job, Callable[[], object]]:
        self.running = 0
        job = self._job
        return job, lambda: next(job.records, None)


class Threads:
    """A thread for each job, with one thread of torch."""

    def __init__(self, workers: int, executor: ThreadPoolExecutor) -> None:
        self.workers, self.running, self._executor = workers, 0, executor
        self._futures: dict[Future[object], Job] = {}

    def start(self, job: Job) -> None:
        self.running += 1
        self._futures[self._executor.submit(next, job.records, None)] = job

    resume = start

    def next(self) -> tuple[Job, Callable[[], object]]:
        ready, _ = wait(self._futures, return_when=FIRST_COMPLETED)
        future = ready.pop()
        self.running -= 1
        return self._futures.pop(future), future.result


class Processes:
    """A process for each job, with one thread of torch."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._children: dict[Connection, tuple[Job, int]] = {}
        self._busy: list[Connection] = []

    @property
    def running(self) -> int:
        """How many jobs run at the moment."""
        return len(self._busy)

    def start(self, job: Job) -> None:
        here, there = Pipe()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()  # or the child writes it once more
        with warnings.catch_warnings():  # some Pythons warn of a fork beside threads; none of them is needed
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            _work(job, there)
        there.close()
        self._children[here] = job, child
        self._busy.append(here)

    def resume(self, job: Job) -> None:
        here = next(here for here, (theirs, _) in self._children.items() if theirs is job)
        with contextlib.suppress(OSError):  # a child that is gone is noticed as it is waited for
            here.send(True)
        self._busy.append(here)

    def next(self) -> tuple[Job, Callable[[], object]]:
        here = connections.wait(self._busy)[0]
        assert isinstance(here, Connection)
        self._busy.remove(here)
        job, _ = self._children[here]
        try:
            kind, value, job.timer.is_waiting, job.timer.handed_over = here.recv()
        except (EOFError, OSError):
            return job, raising(died(self._end(here)))
        if kind == "records":
            return job, lambda: value
        self._end(here)
        return job, (lambda: None) if kind == "end" else raising(value)

    def close(self) -> None:
        """End all children, wherever they are."""
        for _, child in self._children.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for here in list(self._children):
            self._end(here)

    def _end(self, here: Connection) -> int:
        """Wait for the end of a child; returns how it ended."""
        _, child = self._children.pop(here)
        here.close()
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def died(code: int) -> JobError:
    """What is said of a job whose process ended so: with a code, or by a signal if negative."""
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    is_memory = how == KILLED
    return JobError(f"its process ended ({how}{', most likely for lack of memory' if is_memory else ''})", is_memory)


def raising(error: BaseException) -> Callable[[], NoReturn]:
    """A function that raises it."""

    def fail() -> NoReturn:
        raise error

    return fail


def _work(job: Job, there: Connection) -> NoReturn:
    """What a child does: its job, in steps that the parent allows; it ends when the parent does."""
    try:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # the parent asks for what a signal asks for
        _close_all_but(there.fileno())
        torch.set_num_threads(1)
        job.timer.parent = os.getppid()
        _tell(job, there)
    except (EOFError, OSError):  # the parent is gone
        pass
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(0)


def _tell(job: Job, there: Connection) -> None:
    """Send what a job yields, each time it may go on, and how it ended."""
    timer = job.timer
    while True:
        message = outcome_of(job)
        there.send((*message, timer.is_waiting, timer.handed_over))
        if message[0] != "records":
            return
        there.recv()
        if timer.is_waiting:
            timer.committed()


def outcome_of(job: Job) -> tuple[str, object]:
    """What comes of a job up to where it yields next: ``records``, its ``end``, or what it ``raised``."""
    try:
        records = next(job.records, None)
    except WinitError as error:
        return "raised", error
    except BaseException as error:
        return "raised", job_error(error)
    return ("end", None) if records is None else ("records", records)


def _close_all_but(kept: int) -> None:
    """Close what a child inherits: while it has the lock's file, the run would seem to be written."""
    for number in [int(path.name) for path in Path(FILES).iterdir()]:
        if number > 2 and number != kept:
            with contextlib.suppress(OSError):  # the one that listed them
                os.close(number)


def can_fork() -> bool:
    """Whether jobs may be processes."""
    return sys.platform == "linux" and Path(FILES).is_dir() and not torch.cuda.is_available()


@contextlib.contextmanager
def side_by_side(workers: int) -> Iterator[Pool]:
    """A pool of so many workers."""
    if workers == 1:
        yield Here()
    elif can_fork():
        torch.optim.SGD([torch.zeros(1)], 0.1)  # imports what each child would import again
        processes = Processes(workers)
        try:
            yield processes
        finally:
            processes.close()
    else:
        torch.set_num_threads(1)
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as executor:
            yield Threads(workers, executor)
