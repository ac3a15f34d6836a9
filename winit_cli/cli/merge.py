"""``winit merge``."""

from __future__ import annotations

from typing import Annotated

import typer

from winit_cli.cli import completion
from winit_cli.cli.guard import guarded
from winit_cli.cli.options import RESULTS, Json, NoColor, Quiet, Results, StrictClaims
from winit_cli.cli.shown import show
from winit_cli.cli.terminal import Terminal


@guarded
def merge(
    shards: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN…]",
            help="Shards by path or name, or the run whose shards are meant; default: the newest.",
            autocompletion=completion.runs,
        ),
    ] = None,
    results: Results = RESULTS,
    strict_claims: StrictClaims = False,
    json: Json = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Join the shards of a run (winit run CONFIG --shard 1/2, 2/2) into the run that was never cut up."""
    from winit_cli.merge import merge as join

    terminal = Terminal(json, quiet, no_color)
    merged = join(results, shards or [], terminal.note)
    if merged.was_there:
        terminal.note(f"{merged.directory.name} is there already; nothing to join")
    document, code = show(terminal, results, merged.directory, merged.failures, strict_claims=strict_claims)
    terminal.document(document)
    raise SystemExit(code)
