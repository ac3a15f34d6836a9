"""Progress of a call from Python: in a notebook, in a terminal, or not at all."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from winit_cli.cli import progress as command_line
from winit_cli.cli.board import Board
from winit_cli.cli.tally import Tally
from winit_cli.cli.terminal import Terminal
from winit_cli.plan import Trial
from winit_cli.training import Progress
from winit_cli.visible import visible

EVERY_SECONDS = 0.5


class Notebook:
    """A bar and a leaderboard in the output of a notebook's cell, brought up to date in their place."""

    def __init__(self, display: Any, show: Any) -> None:
        self.display, self.show = display, show
        self.handle = display(show(""), display_id=True)
        self.notes: list[str] = []
        self.tally, self.board = Tally(), Board()
        self.shown = time.perf_counter()

    def begin(self, trials: int, done: int, updates: int) -> None:
        self.tally.begin(trials, done, updates)
        self.draw()

    def advance(self, updates: int) -> None:
        self.tally.made += updates
        self.draw_in_time()

    def spare(self, updates: int) -> None:
        self.tally.spared += updates

    def known(self, trial: Trial, status: str, final: float | None) -> None:
        self.board.add(trial, status, final)

    def trial_done(self, trial: Trial, status: str, final: float | None) -> None:
        self.board.add(trial, status, final)
        self.tally.done += 1
        if self.tally.done == self.tally.trials:
            self.draw()
        else:
            self.draw_in_time()

    def where(self, text: str) -> None:
        self.tally.where = text

    def note(self, text: str) -> None:
        self.notes.append(html.escape(text))
        self.draw()

    def draw_in_time(self) -> None:
        """Show how far it is, unless that was done just now."""
        if time.perf_counter() - self.shown > EVERY_SECONDS:
            self.draw()

    def draw(self) -> None:
        """Show how far it is, and who leads."""
        self.shown = time.perf_counter()
        tally = self.tally
        bar = f'<progress value="{tally.passed}" max="{max(tally.updates, 1)}"></progress>'
        lines = [*self.notes, f"{bar} {tally}"] if tally.trials else self.notes
        self.handle.update(self.show("<br>".join(lines) + _table(self.board)))


def _table(board: Board) -> str:
    """The leaderboard as HTML; nothing before the first trial has ended."""
    lines = [line.cells for line in board.lines()]
    if not lines:
        return ""
    rows = ["".join(f"<td>{html.escape(visible(cell))}</td>" for cell in cells) for cells in [board.headings, *lines]]
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


@contextmanager
def reporting(wanted: bool) -> Iterator[Progress]:
    """A reporter for one run: a notebook's, else the command line's."""
    shell: Any = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if wanted and shell is not None and hasattr(shell, "kernel"):
        from IPython.display import HTML, display

        yield Notebook(display, HTML)
        return
    with command_line.reporting(Terminal(quiet=not wanted)) as reporter:
        yield reporter
