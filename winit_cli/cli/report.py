"""``winit report``."""

from __future__ import annotations

from typing import Annotated

import typer

from winit_cli.cli.guard import guarded
from winit_cli.cli.options import RESULTS, Json, NoColor, Quiet, Results
from winit_cli.cli.terminal import Terminal


@guarded
def report(
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN…]", help="Runs; the newest if none is named.")
    ] = None,
    results: Results = RESULTS,
    json: Json = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Draw the figures of a run and write report.html, one file with everything inside."""
    from winit_cli.report import write
    from winit_cli.store.frames import read_run
    from winit_cli.store.runs import find_run

    terminal = Terminal(json, quiet, no_color)
    written = []
    for path in [find_run(results, text) for text in runs] if runs else [find_run(results, None)]:
        run = read_run(path)
        terminal.note(f"drawing the figures of {run.path}")
        written.append(str(write(run)))
        terminal.path(written[-1])
    terminal.document({"reports": written})
