"""Live progress on stderr: a bar with a leaderboard in a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from winit_cli.cli.board import Board
from winit_cli.cli.tally import Tally
from winit_cli.cli.terminal import Terminal
from winit_cli.visible import visible

if TYPE_CHECKING:
    from winit_cli.plan import Trial

BAR = 15  # letters; with what is said beside it under 80
PER_SECOND = 2  # at most, that the terminal is drawn


class Shown(Progress):
    """The bar, and below it the leaderboard once a trial has ended."""

    def __init__(self, terminal: Terminal, board: Board) -> None:
        self.board = board  # before the first drawing, which is in the other's beginning
        super().__init__(
            BarColumn(BAR),
            TextColumn("{task.description}"),
            console=terminal.err,
            transient=True,
            refresh_per_second=PER_SECOND,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        lines = self.board.lines()
        if lines:
            yield ""
            yield _table([self.board.headings, *(line.cells for line in lines)])


def _table(rows: list[tuple[str, str, str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name, justify in zip(rows[0], ("left", "right", "right", "left"), strict=True):
        table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True)
    for cells in rows[1:]:
        table.add_row(*map(escape, cells))
    return table


class Reporter:
    """Tells a person how a run goes on; what the runner's ``Progress`` protocol asks for.

    Where nobody listens any more (a closed terminal, ``| head``), the run goes on without words.
    """

    def __init__(self, terminal: Terminal, bar: Progress | None, board: Board | None = None) -> None:
        self.terminal = terminal
        self.bar = bar
        self.tally = Tally()
        self.board = board or Board()
        self.tenths = 0  # of the updates, that were told in plain lines
        self.task = bar.add_task("", total=None) if bar else None

    def begin(self, trials: int, done: int, updates: int) -> None:
        self.tally.begin(trials, done, updates)
        if self.bar is None:
            left = trials - done
            self.terminal.note(f"{left} trial{'s' if left != 1 else ''} to train, {updates:,} trial-steps")
        else:
            self._show()

    def advance(self, updates: int) -> None:
        self.tally.made += updates
        self._show()

    def spare(self, updates: int) -> None:
        self.tally.spared += updates
        self._show()

    def known(self, trial: Trial, status: str, final: float | None) -> None:
        self.board.add(trial, status, final)

    def trial_done(self, trial: Trial, status: str, final: float | None) -> None:
        self.board.add(trial, status, final)
        self.tally.done += 1
        self._show()

    def where(self, text: str) -> None:
        self.tally.where = text
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
            self.bar.update(self.task, total=tally.updates, completed=tally.passed, description=self._said("\n"))
        elif self._line_due():
            self.tenths = tally.tenths()
            self.terminal.note(self._said(", "))

    def _said(self, between: str) -> str:
        return between.join(filter(None, (str(self.tally), self.tally.where)))

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
    board = Board()
    bar = Shown(terminal, board)
    reporter = Reporter(
        terminal, bar, board
    )  # adding its task to a bar that is drawn already would draw outside of suppress
    with suppress(OSError):
        bar.start()
    try:
        yield reporter
    finally:
        with suppress(OSError):
            bar.stop()
