"""When a run commits, and how it stops: at the next update after a signal, or at once after a second one."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from winit_cli.errors import Terminated

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
COST = 50  # a checkpoint is due no sooner than after so many times what the last one took: under 2 % of the run


class Timer:
    """Says when a checkpoint of one job is due: ``seconds`` after the last, later if checkpoints are slow, at once on
    a signal."""

    def __init__(self, cadence: Cadence) -> None:
        self.cadence = cadence
        self.is_waiting = False  # for a commit
        self.handed_over = False  # the checkpoint that a signal asked for
        self.parent: int | None = None  # whose child asks; it has no reason to live on alone
        self._last = self._asked = time.monotonic()
        self._cost = 0.0

    def is_due(self) -> bool:
        """Whether the job should hand out a checkpoint now."""
        if self.parent is not None and os.getppid() != self.parent:
            os._exit(1)
        now = time.monotonic()
        if not self.cadence.is_asked and now - self._last < max(self.cadence.seconds, COST * self._cost):
            return False
        self.is_waiting, self._asked = True, now
        self.handed_over = self.cadence.is_asked
        return True

    def committed(self) -> None:
        """The checkpoint is on disk."""
        self._last = time.monotonic()
        self._cost = self._last - self._asked
        self.is_waiting = False


class Cadence:
    """How often a run commits, and the signal that asked it to stop."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.signal: int | None = None
        self._shared = mmap.mmap(-1, 1)  # with the processes that train

    @property
    def is_asked(self) -> bool:
        """Whether a signal has asked the run to stop; children see it too."""
        return self._shared[0] != 0

    def ask(self) -> None:
        """Ask for it on behalf of another process."""
        self._shared[0] = 1

    def stop_if_asked(self) -> None:
        """End the run if a signal has come; everything up to here must be committed."""
        if self.signal is not None:
            _end(self.signal)

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Let the first Ctrl-C, SIGTERM or SIGHUP ask for a checkpoint, and a second one end the run where it is.

        Signals that the caller ignores (``nohup``) stay ignored, and outside the main thread nothing changes.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in SIGNALS}
        taken = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
        for number in taken:
            signal.signal(number, self._on_signal)
        try:
            yield
        finally:
            for number in taken:
                signal.signal(number, before[number])

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            _end(number)
        self.signal = number
        self.ask()
        with contextlib.suppress(OSError):  # not through sys.stderr, which may be in the middle of a line
            os.write(2, b"\nwinit: stopping at the next update; once more stops at once\n")


def _end(number: int) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(128 + number)
