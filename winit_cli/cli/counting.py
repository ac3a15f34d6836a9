"""How far a scan is, on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from rich.progress import BarColumn, Progress, TextColumn

from winit_cli.cli.terminal import Terminal

T = TypeVar("T")
EVERY_SECONDS = 10.0  # between two lines where there is no bar


def told(things: Sequence[T], terminal: Terminal, what: str) -> Iterator[T]:
    """The things, one by one: a bar in a terminal, elsewhere a line now and then."""
    console = terminal.err
    if terminal.quiet or not console.is_terminal:
        yield from _with_lines(things, terminal, what)
        return
    bar = Progress(BarColumn(15), TextColumn("{task.description}"), console=console, transient=True)
    task = bar.add_task("", total=len(things))
    with suppress(OSError):
        bar.start()
    try:
        for done, thing in enumerate(things):
            bar.update(task, completed=done, description=f"{done}/{len(things)} {what}")
            yield thing
    finally:
        with suppress(OSError):
            bar.stop()


def _with_lines(things: Sequence[T], terminal: Terminal, what: str) -> Iterator[T]:
    told = time.monotonic()
    for done, thing in enumerate(things):
        if time.monotonic() - told > EVERY_SECONDS:
            told = time.monotonic()
            terminal.note(f"{done}/{len(things)} {what}")
        yield thing
