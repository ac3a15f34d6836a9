"""``winit list``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from winit_cli.cli.fitted import Column, fitted
from winit_cli.cli.fitted import table as tabulated
from winit_cli.cli.guard import guarded
from winit_cli.cli.options import RESULTS, Json, NoColor, Plugin, Results
from winit_cli.cli.terminal import Terminal


class What(StrEnum):
    """What can be listed."""

    schemes = "schemes"
    models = "models"
    data = "data"
    lints = "lints"
    runs = "runs"


@guarded
def list_(
    what: Annotated[What, typer.Argument(help="What to list.")],
    plugin: Plugin = [],  # noqa: B006
    results: Results = RESULTS,
    json: Json = False,
    no_color: NoColor = False,
    layers: Annotated[
        str | None,
        typer.Option("--layers", metavar="KIND", help="Only schemes for linear, conv, recurrent, embedding."),
    ] = None,
) -> None:
    """List the schemes, models, data sets, rules of winit check (lints) or runs there are."""
    found = _lints() if what is What.lints else _runs(results) if what is What.runs else _rows(what, plugin)
    terminal = Terminal(json, no_color=no_color)
    if layers is not None:
        found = _for_layers(found, what, layers)
    terminal.document(found)
    if not found:
        terminal.note(f"no runs under {results}; make one with: winit run mnist")
        return
    if what is What.schemes:
        _print_families(terminal, found)
        return
    if what is What.runs:
        _print_runs(terminal, found)
        return
    table = Table(box=box.SIMPLE_HEAD if terminal.out.is_terminal else None, pad_edge=False)
    for name in found[0]:
        table.add_column(name, overflow="fold")
    for row in found:
        table.add_row(*(escape(str(value)) for value in row.values()))
    terminal.print(table)


def _for_layers(found: list[dict[str, Any]], what: What, kind: str) -> list[dict[str, Any]]:
    from winit_cli.errors import UsageError, known
    from winit_cli.schemes.kinds import LAYERS

    if what is not What.schemes:
        raise UsageError(f"--layers is for winit list schemes, not for winit list {what}")
    if kind not in LAYERS:
        raise UsageError(f"--layers {kind}: no such kind of layer; {known(kind, LAYERS)}")
    return [row for row in found if kind in row["layers"].split(", ")]


def _print_families(terminal: Terminal, schemes: list[dict[str, Any]]) -> None:
    """Family by family, a line for each scheme; options and other names are in winit explain."""
    width = max(len(row["name"]) for row in schemes)
    for family in dict.fromkeys(row["family"] for row in schemes):
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(width=width, overflow="fold")
        table.add_column(overflow="fold")
        for row in schemes:
            if row["family"] == family:
                table.add_row(escape(row["name"]), escape(row["summary"]))
        terminal.print(f"[bold]{escape(family)}[/bold]")
        terminal.print(table)
        terminal.print("")
    terminal.print("Formula, options and paper of one: winit explain NAME")


def _print_runs(terminal: Terminal, runs: list[dict[str, Any]]) -> None:
    """As many columns as there is room for; the names are whole, so that they can be copied."""
    made = [Column(name, [_spelled(name, row[name]) for row in runs], "left") for name in runs[0]]
    console = terminal.out
    shown = fitted(made, ("started", "model", "data", "trials", "state"), console.width)
    if len(shown) > 1:
        terminal.print(tabulated(shown, console))
        return
    for row in runs:
        terminal.path(row["run"])


def _spelled(name: str, value: str) -> str:
    """``2026-05-01 12:30`` of a time."""
    return value[:16].replace("T", " ") if name == "started" else value


def _rows(what: What, plugin: list[str]) -> list[dict[str, Any]]:
    from winit_cli.plugins import plugged

    with plugged(plugin):
        return {What.schemes: _schemes, What.models: _models, What.data: _data}[what]()


def _schemes() -> list[dict[str, Any]]:
    from winit_cli.schemes import SCHEMES
    from winit_cli.schemes.listed import listed

    return listed(SCHEMES.values())


def _models() -> list[dict[str, Any]]:
    from winit_cli.models import MODELS
    from winit_cli.tables import spelled_options

    return [
        {"name": row.name, "options": spelled_options(row.options), "summary": row.summary} for row in MODELS.values()
    ]


def _data() -> list[dict[str, Any]]:
    from winit_cli.data import DATASETS
    from winit_cli.tables import options_of, spelled_options

    return [
        {"name": row.name, "options": spelled_options(options_of(row.load)), "summary": row.summary}
        for row in DATASETS.values()
    ]


def _lints() -> list[dict[str, Any]]:
    from winit_cli.lint import LINTS

    return [{"name": name, "summary": summary} for name, summary in LINTS.items()]


def _runs(results: Path) -> list[dict[str, Any]]:
    from winit_cli.store.runs import run_facts, runs, state_of

    found = []
    for path in reversed(runs(results)):
        facts = run_facts(path)
        status, config = facts.get("status", {}), facts.get("config", {})
        counts = {name: count for name, count in status.get("trials", {}).items() if count}
        found.append(
            {
                "run": path.name,
                "state": state_of(path, facts),
                "trials": ", ".join(f"{count} {name}" for name, count in counts.items()),
                "model": config.get("model", {}).get("name", ""),
                "data": config.get("data", {}).get("name", ""),
                "started": facts.get("env", {}).get("started", ""),
            }
        )
    return found
