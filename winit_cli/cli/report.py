"""``winit report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winit_cli.cli import completion
from winit_cli.cli.guard import guarded
from winit_cli.cli.options import RESULTS, Json, NoColor, Quiet, Results
from winit_cli.cli.terminal import Terminal
from winit_cli.errors import UsageError

if TYPE_CHECKING:
    from winit_cli.findings import Findings
    from winit_cli.report.joined import Joined


@guarded
def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN…]", help="Runs; the newest if none is named.", autocompletion=completion.runs),
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", metavar="A,B,…", help="What to write: html, png, svg, md, tex, json.")
    ] = "html,png,svg",
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Directory for the report; default: the run's, of several runs one beside them."),
    ] = None,
    opened: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
    results: Results = RESULTS,
    json: Json = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Write report.html, one file with everything inside, and the figures; several runs are joined as well.

    With --json the findings stand on stdout too. A run that is still going on is reported as far as it is.
    """
    from winit_cli.findings import Findings
    from winit_cli.report import parse_formats
    from winit_cli.report.joined import join
    from winit_cli.store.frames import read_run
    from winit_cli.store.runs import find_run

    terminal, wanted = Terminal(json, quiet, no_color), parse_formats(formats)
    if opened and "html" not in wanted:
        raise UsageError(f"--open shows the page, and --format {formats} writes none; add html")
    named = [find_run(results, text) for text in runs] if runs else [find_run(results, None)]
    found = [Findings(read_run(path)) for path in {path.resolve(): path for path in named}.values()]
    joined = join(found) if len(found) > 1 else None
    written = _written(found, joined, wanted, output, terminal)
    for path in written:
        terminal.path(path)
    terminal.document(_document(found, joined) | {"reports": [str(path) for path in written]})
    if opened:
        _open(next(path for path in reversed(written) if path.suffix == ".html"), terminal)


def _written(
    found: list[Findings], joined: Joined | None, formats: tuple[str, ...], output: Path | None, terminal: Terminal
) -> list[Path]:
    """Write what is wanted; the paths, those of the joined report last."""
    from winit_cli.report import joined_name, write_joined, write_run

    written: list[Path] = []
    for one in found:
        terminal.note(f"reporting on {one.run.path}")
        for text in one.notices:
            terminal.note(text)
        written += write_run(one, formats, None if joined else output)
    if joined:
        beside = found[0].run.path.parent / joined_name([one.run.path for one in found])
        written += write_joined(joined, formats, output or beside)
    return written


def _document(found: list[Findings], joined: Joined | None) -> dict[str, Any]:
    """What a run's own ``--json`` says; of several runs a list of these, and the joined table."""
    from winit_cli.findings.document import document
    from winit_cli.report import joined as joining

    if joined is None:
        return document(found[0])
    return {"runs": [document(one) for one in found], "joined": joining.document(joined)}


def _open(page: Path, terminal: Terminal) -> None:
    import webbrowser

    try:
        is_shown = webbrowser.open(page.resolve().as_uri())
    except (webbrowser.Error, OSError):
        is_shown = False
    if not is_shown:
        terminal.warn(f"no browser could be started here; the page is {page.resolve()}")
