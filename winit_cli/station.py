"""One worker that is no copy of the process that writes the run: it is given orders, and answers with their records."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import NamedTuple

import torch

from winit_cli.data.dataset import Dataset
from winit_cli.engine.numerics import replayable
from winit_cli.errors import UsageError, WinitError
from winit_cli.orders import Order, Trainer
from winit_cli.packing import Packed, unpacked
from winit_cli.plan import Plan
from winit_cli.stopping import Cadence, Timer
from winit_cli.workers import job_error, outcome_of

GO_ON, ASK = "go on", "ask"


@dataclass(frozen=True)
class Setup:
    """What every worker of a run needs beside the data: the plan, torch's threads, the seconds between two commits."""

    packed: Packed
    threads: int
    seconds: float


class Answer(NamedTuple):
    """``kind`` is records, end or raised, with the records or what was raised; whether a commit is waited for, and the
    checkpoint that a signal asked for is in it; how long the order has taken."""

    kind: str
    value: object
    is_waiting: bool
    handed_over: bool
    seconds: float


@dataclass
class _Running:
    """What :func:`outcome_of` asks."""

    records: Iterator[object]
    timer: Timer


class Station:
    """Trains one order after another of a plan."""

    def __init__(self, plan: Plan, setup: Setup) -> None:
        self.trainer, self.threads = Trainer(plan), setup.threads
        self.cadence = Cadence(setup.seconds)

    def begin(self, order: Order) -> Answer:
        """The first answer to an order."""
        timer = Timer(self.cadence)
        self.began = time.perf_counter()
        self.running = _Running(self._records(order, timer), timer)
        return self._answer()

    def go_on(self) -> Answer:
        """The next one, as the last was taken."""
        if self.running.timer.is_waiting:
            self.running.timer.committed()
        return self._answer()

    def ask(self) -> None:
        """Let the order hand over a checkpoint after its next update."""
        self.cadence.ask()

    def _answer(self) -> Answer:
        torch.set_num_threads(self.threads)  # each thread of a process has a number of its own
        timer = self.running.timer
        kind, value = outcome_of(self.running)
        return Answer(kind, value, timer.is_waiting, timer.handed_over, time.perf_counter() - self.began)

    def _records(self, order: Order, timer: Timer) -> Iterator[object]:
        yield from self.trainer.records(order, timer.is_due)


def replayed(plan: Plan, setup: Setup) -> AbstractContextManager[None]:
    """Torch as the run has it."""
    return replayable(plan.settings[0].device, setup.threads, plan.config.base.general.precision)


def main(descriptor: int) -> None:
    """What a child process does: it answers what its parent sends, and ends with it."""
    there = Connection(descriptor)
    with contextlib.suppress(OSError):
        os.dup2(2, 1)  # what a user's code prints is no part of the parent's document
    setup, datasets, device = pickle.loads(there.recv_bytes())
    try:
        _serve(there, setup, datasets, device)
    except EOFError:
        pass
    except BaseException as error:
        why = error if isinstance(error, WinitError) else UsageError(f"a worker on {device} {job_error(error).reason}")
        there.send(Answer("raised", why, False, False, 0.0))
    os._exit(0)


def _serve(there: Connection, setup: Setup, datasets: list[Dataset], device: str) -> None:
    inbox: SimpleQueue[object] = SimpleQueue()
    if device.startswith("cuda:"):
        torch.cuda.set_device(device)  # which global generators of a user's code belong to
    with unpacked(setup.packed, datasets, device) as plan, replayed(plan, setup):
        station = Station(plan, setup)
        threading.Thread(target=_listen, args=(there, inbox, station), daemon=True).start()
        while True:
            found = inbox.get()
            there.send(station.begin(found) if isinstance(found, Order) else station.go_on())


def _listen(there: Connection, inbox: SimpleQueue[object], station: Station) -> None:
    """Take what the parent sends, also while the other thread trains; end with the parent."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            found = there.recv()
            if found == ASK:
                station.ask()
            else:
                inbox.put(found)
    sys.stderr.flush()
    os._exit(1)
