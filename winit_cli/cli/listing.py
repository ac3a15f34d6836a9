"""``winit list``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from winit_cli.cli.guard import guarded
from winit_cli.cli.listed_runs import chosen, in_order, none_chosen, print_runs, runs_under
from winit_cli.cli.options import RESULTS, Json, NoColor, Plugin, Results
from winit_cli.cli.terminal import Terminal
from winit_cli.errors import UsageError, known


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
    where: Annotated[
        list[str],
        typer.Option(
            "--where",
            metavar="KEY=VALUE",
            help="Only runs whose run, state, model, data, label or started is VALUE, which may have * and ?.",
        ),
    ] = [],  # noqa: B006
    sort: Annotated[
        str | None,
        typer.Option("--sort", metavar="KEY", help="Runs by started, run, state, model, data or trials."),
    ] = None,
    is_reversed: Annotated[bool, typer.Option("--reverse", help="Runs in the opposite order.")] = False,
) -> None:
    """List the schemes, models, data sets, rules of winit check (lints) or runs there are."""
    found = _lints() if what is What.lints else runs_under(results) if what is What.runs else _rows(what, plugin)
    terminal = Terminal(json, no_color=no_color)
    if layers is not None:
        found = _for_layers(found, what, layers)
    there = found
    if where or sort is not None or is_reversed:
        found = _for_runs(found, what, where, sort, is_reversed=is_reversed)
    terminal.document(found)
    if not found:
        none = none_chosen(there, where) if there else f"no runs under {results}; make one with: winit run mnist"
        terminal.note(none)
        return
    if what is What.schemes:
        _print_families(terminal, found)
        return
    if what is What.runs:
        print_runs(terminal, found)
        return
    table = Table(box=box.SIMPLE_HEAD if terminal.out.is_terminal else None, pad_edge=False)
    for name in found[0]:
        table.add_column(name, overflow="fold")
    for row in found:
        table.add_row(*(escape(str(value)) for value in row.values()))
    terminal.print(table)


def _for_layers(found: list[dict[str, Any]], what: What, kind: str) -> list[dict[str, Any]]:
    from winit_cli.schemes.kinds import LAYERS

    if what is not What.schemes:
        raise UsageError(f"--layers is for winit list schemes, not for winit list {what}")
    if kind not in LAYERS:
        raise UsageError(f"--layers {kind}: no such kind of layer; {known(kind, LAYERS)}")
    return [row for row in found if kind in row["layers"].split(", ")]


def _for_runs(
    found: list[dict[str, Any]], what: What, where: list[str], sort: str | None, *, is_reversed: bool
) -> list[dict[str, Any]]:
    if what is not What.runs:
        raise UsageError(f"--where, --sort and --reverse are for winit list runs, not for winit list {what}")
    found = chosen(found, where)
    found = found if sort is None else in_order(found, sort)
    return found[::-1] if is_reversed else found


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
