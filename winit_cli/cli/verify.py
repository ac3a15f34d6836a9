"""``winit verify``."""

from __future__ import annotations

import shlex
from dataclasses import asdict

from rich.markup import escape

from winit_cli.cli.guard import guarded
from winit_cli.cli.options import RESULTS, Json, Loss, Model, NoColor, Plugin, Results, Run
from winit_cli.cli.terminal import Terminal, prints_aside

WORDS = {True: "[green]whole[/green]", False: "[red]damaged[/red]", None: "unknown"}


@guarded
def verify(
    run: Run,
    model: Model = None,
    loss: Loss = None,
    plugin: Plugin = [],  # noqa: B006
    results: Results = RESULTS,
    json: Json = False,
    no_color: NoColor = False,
) -> None:
    """Check that a run is what was recorded, and that its initial weights can be made again. Changes nothing."""
    from winit_cli.plugins import plugged
    from winit_cli.store.runs import find_run
    from winit_cli.verify import verify as look_at

    terminal = Terminal(json, no_color=no_color)
    path = find_run(results, run)
    with plugged(plugin, model, loss), prints_aside():
        findings = look_at(path, model, loss)
    is_whole = all(finding.is_whole is not False for finding in findings)
    for finding in findings:
        terminal.line(f"{WORDS[finding.is_whole]} {escape(finding.what)}: {escape(finding.said)}")
    terminal.document({"run": str(path), "whole": is_whole, "findings": [asdict(finding) for finding in findings]})
    if not is_whole:
        where = shlex.quote(str(path))
        terminal.note(
            f"winit export {where} --to csv saves what is whole; running the config again trains damaged trials anew "
            "and writes damaged files again, and --fresh trains all of it in a directory beside it"
        )
        raise SystemExit(1)
