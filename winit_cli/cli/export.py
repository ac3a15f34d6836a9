"""``winit export``: take the answer home."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from winit_cli.cli.guard import guarded
from winit_cli.cli.options import RESULTS, Json, Loss, Model, NoColor, Plugin, Results, Run
from winit_cli.cli.terminal import Terminal
from winit_cli.errors import UsageError


class Format(StrEnum):
    """What a run can be taken home as."""

    python = "python"
    safetensors = "safetensors"
    csv = "csv"


TRIAL = ("--label", "--seed", "--lr", "--model", "--loss", "--plugin")
TAKES = {Format.python: ("--label",), Format.safetensors: TRIAL, Format.csv: ()}


@guarded
def export(
    run: Run,
    to: Annotated[
        Format,
        typer.Option("--to", help="python: code that needs torch alone; safetensors: weights of a trial; csv: tables."),
    ],
    out: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="The file, or the directory for csv; must not exist.")
    ] = None,
    label: Annotated[str | None, typer.Option("--label", help="Which label, where the run has several.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Which seed (safetensors).")] = None,
    lr: Annotated[float | None, typer.Option("--lr", help="Which learning rate (safetensors).")] = None,
    model: Model = None,
    loss: Loss = None,
    plugin: Plugin = [],  # noqa: B006
    results: Results = RESULTS,
    json: Json = False,
    no_color: NoColor = False,
) -> None:
    """Take a run home: the initialization as Python code or as weights, or all tables as CSV."""
    from winit_cli.store.runs import find_run

    given = {"label": label, "seed": seed, "lr": lr, "model": model, "loss": loss}
    _refuse_options(to, {**given, "plugin": plugin or None})
    written, left_out = _written(to, find_run(results, run), out, given, plugin)
    terminal = Terminal(json, no_color=no_color)
    terminal.path(written)
    terminal.document({"written": str(written), **({"left_out": left_out} if left_out else {})})
    for text in left_out:
        terminal.note(f"left out as damaged: {text}")
    if left_out:
        raise SystemExit(1)


def _refuse_options(to: Format, given: dict[str, Any]) -> None:
    for option in [f"--{name}" for name, value in given.items() if value is not None]:
        if option not in TAKES[to]:
            fitting = ", ".join(f"--to {other}" for other, options in TAKES.items() if option in options)
            hint = " (init_weights takes the seed)" if (to, option) == (Format.python, "--seed") else ""
            raise UsageError(f"{option} does not go with --to {to}, only with {fitting}; leave it out{hint}")


def _written(
    to: Format, run: Path, out: Path | None, given: dict[str, Any], plugin: list[str]
) -> tuple[Path, list[str]]:
    """Where it was written and what damage kept out; only what the format needs is imported."""
    if to is Format.csv:
        from winit_cli.export.tables import to_csv

        written = to_csv(run, out)
        return written.directory, written.left_out
    if to is Format.python:
        from winit_cli.export.python_file import to_python

        return to_python(run, out, given["label"]), []
    from winit_cli.export.weights import Wanted, to_safetensors
    from winit_cli.plugins import plugged

    with plugged(plugin, given["model"], given["loss"]):
        return to_safetensors(run, out, Wanted(**given)), []
