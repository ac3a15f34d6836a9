"""Live progress on stderr: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from winit_cli.cli.terminal import Terminal
from winit_cli.visible import visible

if TYPE_CHECKING:
    from winit_cli.plan import Trial

LINES = 10  # plain lines per run


class _Speed(ProgressColumn):
    """Trial-steps per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.fields.get('speed', 0):,.0f} steps/s")


class Reporter:
    """Tells a person how a run goes on; what the runner's ``Progress`` protocol asks for.

    Where nobody listens any more (a closed terminal, ``| head``), the run goes on without words.
    """

    def __init__(self, terminal: Terminal, bar: Progress | None) -> None:
        self.terminal = terminal
        self.bar = bar
        self.total = self.done = self.first = self.steps = 0
        self.began = time.perf_counter()
        self.task = bar.add_task("trials", total=None) if bar else None

    def begin(self, trials: int, done: int, steps: int) -> None:
        self.total, self.done, self.first = trials, done, done
        self.began = time.perf_counter()
        if self.bar and self.task is not None:
            self.bar.update(self.task, total=trials, completed=done)
        else:
            self.terminal.note(f"{trials - done} trials of {steps} steps to train")

    def advance(self, steps: int) -> None:
        self.steps += steps
        if self.bar and self.task is not None:
            self.bar.update(self.task, speed=self.steps / (time.perf_counter() - self.began))

    def trial_done(self, trial: Trial, status: str) -> None:
        self.done += 1
        if self.bar and self.task is not None:
            self.bar.update(self.task, completed=self.done, description=trial.label[:30])
        elif self._line_due():
            seconds = time.perf_counter() - self.began
            left = seconds / (self.done - self.first) * (self.total - self.done)
            speed = self.steps / seconds
            self.terminal.note(f"{self.done}/{self.total} trials, {speed:,.0f} trial-steps/s, about {left:.0f} s left")

    def note(self, text: str) -> None:
        if self.bar:
            with suppress(OSError):
                self.bar.console.print(visible(text), highlight=False, markup=False)
        else:
            self.terminal.note(text)

    def _line_due(self) -> bool:
        share = max(1, (self.total - self.first) // LINES)
        return self.done == self.total or (self.done - self.first) % share == 0


@contextmanager
def reporting(terminal: Terminal) -> Iterator[Reporter]:
    """A reporter for one run."""
    console = terminal.err
    if terminal.quiet or not console.is_terminal:
        yield Reporter(terminal, None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Speed(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    with suppress(OSError):
        bar.start()
    try:
        yield Reporter(terminal, bar)
    finally:
        with suppress(OSError):
            bar.stop()
