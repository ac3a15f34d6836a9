"""Progress of a call from Python: in a notebook, in a terminal, or not at all."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from winit_cli.cli import progress as command_line
from winit_cli.cli.terminal import Terminal
from winit_cli.plan import Trial
from winit_cli.training import Progress

EVERY_SECONDS = 0.5


class Notebook:
    """A bar in the output of a notebook's cell, brought up to date in its place."""

    def __init__(self, display: Any, show: Any) -> None:
        self.display, self.show = display, show
        self.handle = display(show(""), display_id=True)
        self.notes: list[str] = []
        self.total = self.done = self.steps = 0
        self.began = self.shown = time.perf_counter()

    def begin(self, trials: int, done: int, steps: int) -> None:
        self.total, self.done = trials, done
        self.began = time.perf_counter()
        self.draw()

    def advance(self, steps: int) -> None:
        self.steps += steps
        if time.perf_counter() - self.shown > EVERY_SECONDS:
            self.draw()

    def trial_done(self, trial: Trial, status: str) -> None:
        self.done += 1
        if self.done == self.total:
            self.draw()

    def note(self, text: str) -> None:
        self.notes.append(html.escape(text))
        self.draw()

    def draw(self) -> None:
        """Show how far it is."""
        self.shown = time.perf_counter()
        speed = self.steps / max(self.shown - self.began, 1e-9)
        bar = f'<progress value="{self.done}" max="{max(self.total, 1)}"></progress>'
        text = f"{bar} {self.done} of {self.total} trials, {speed:,.0f} trial-steps/s"
        self.handle.update(self.show("<br>".join([*self.notes, text] if self.total else self.notes)))


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
