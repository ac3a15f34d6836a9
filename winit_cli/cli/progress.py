"""Live progress on stderr: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn

from winit_cli.cli.tally import Tally
from winit_cli.cli.terminal import Terminal
from winit_cli.visible import visible

if TYPE_CHECKING:
    from winit_cli.plan import Trial

BAR = 15  # letters; with what is said beside it under 80


class Reporter:
    """Tells a person how a run goes on; what the runner's ``Progress`` protocol asks for.

    Where nobody listens any more (a closed terminal, ``| head``), the run goes on without words.
    """

    def __init__(self, terminal: Terminal, bar: Progress | None) -> None:
        self.terminal = terminal
        self.bar = bar
        self.tally = Tally()
        self.tenths = 0  # of the updates, that were told in plain lines
        self.task = bar.add_task("", total=None) if bar else None

    def begin(self, trials: int, done: int, updates: int) -> None:
        self.tally.begin(trials, done, updates)
        if self.bar is None:
            self.terminal.note(f"{trials - done} trials to train, {updates:,} trial-steps")
        else:
            self._show()

    def advance(self, updates: int) -> None:
        self.tally.made += updates
        self._show()

    def spare(self, updates: int) -> None:
        self.tally.spared += updates
        self._show()

    def trial_done(self, trial: Trial, status: str) -> None:
        self.tally.done += 1
        self._show()

    def note(self, text: str) -> None:
        if self.bar:
            with suppress(OSError):
                self.bar.console.print(visible(text), highlight=False, markup=False)
        else:
            self.terminal.note(text)

    def _show(self) -> None:
        tally = self.tally
        if self.bar and self.task is not None:
            self.bar.update(self.task, total=tally.updates, completed=tally.passed, description=str(tally))
        elif self._line_due():
            self.tenths = tally.tenths()
            self.terminal.note(str(tally))

    def _line_due(self) -> bool:
        """At every tenth; at the last not before the trials are done, which takes an evaluation more."""
        tenths, tally = self.tally.tenths(), self.tally
        return tenths > self.tenths and (tenths < 10 or tally.done == tally.trials)


@contextmanager
def reporting(terminal: Terminal) -> Iterator[Reporter]:
    """A reporter for one run."""
    console = terminal.err
    if terminal.quiet or not console.is_terminal:
        yield Reporter(terminal, None)
        return
    bar = Progress(BarColumn(BAR), TextColumn("{task.description}"), console=console, transient=True)
    reporter = Reporter(terminal, bar)  # adding its task to a bar that is drawn already would draw outside of suppress
    with suppress(OSError):
        bar.start()
    try:
        yield reporter
    finally:
        with suppress(OSError):
            bar.stop()
