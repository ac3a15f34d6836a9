"""``winit export``: take the answer home."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winit_cli.cli.guard import guarded
from winit_cli.cli.options import RESULTS, Json, Loss, Model, NoColor, Plugin, Results, Run
from winit_cli.cli.terminal import Terminal, prints_aside
from winit_cli.errors import UsageError, known

if TYPE_CHECKING:
    from winit_cli.export.tables import Written


class Format(StrEnum):
    """What a run can be taken home as."""

    python = "python"
    safetensors = "safetensors"
    csv = "csv"
    parquet = "parquet"
    tensorboard = "tensorboard"


TRIAL = ("--label", "--seed", "--lr", "--model", "--loss", "--plugin")
TAKES = {
    Format.python: ("--label",),
    Format.safetensors: TRIAL,
    Format.csv: (),
    Format.parquet: (),
    Format.tensorboard: ("--model", "--loss", "--plugin"),
}


@guarded
def export(
    run: Run,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            autocompletion=lambda: list(Format),
            help="python: code that needs torch alone; safetensors: weights of a trial; csv, parquet: tables; "
            "tensorboard: event files.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Argument(
            metavar="OUT", help="The file, or for csv, parquet and tensorboard the directory; must not exist."
        ),
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
    """Take a run home: the initialization as Python code or as weights, all tables, or TensorBoard's event files."""
    from winit_cli.store.runs import find_run

    given = {"label": label, "seed": seed, "lr": lr, "model": model, "loss": loss}
    form = _format(to)
    _refuse_options(form, {**given, "plugin": plugin or None})
    terminal, path = Terminal(json, no_color=no_color), find_run(results, run)
    if form in (Format.python, Format.safetensors):
        terminal.path(written := _file(form, path, out, given, plugin))
        terminal.document({"written": str(written)})
        return
    made = _directory(form, path, out, given, plugin, terminal)
    terminal.path(made.directory)
    said = {"left_out": made.left_out, "notes": made.notes}
    terminal.document({"written": str(made.directory), **{name: texts for name, texts in said.items() if texts}})
    for text in [*made.notes, *(f"left out as damaged: {text}" for text in made.left_out)]:
        terminal.note(text)
    if made.left_out:
        raise SystemExit(1)


def _format(text: str) -> Format:
    if text not in list(Format):
        raise UsageError(f"--to: no format '{text}'; {known(text, Format)}")
    return Format(text)


def _refuse_options(to: Format, given: dict[str, Any]) -> None:
    for option in [f"--{name}" for name, value in given.items() if value is not None]:
        if option not in TAKES[to]:
            fitting = ", ".join(f"--to {other}" for other, options in TAKES.items() if option in options)
            hint = " (init_weights takes the seed)" if (to, option) == (Format.python, "--seed") else ""
            raise UsageError(f"{option} does not go with --to {to}, only with {fitting}; leave it out{hint}")


def _file(to: Format, run: Path, out: Path | None, given: dict[str, Any], plugin: list[str]) -> Path:
    """Where it was written; only what the format needs is imported."""
    if to is Format.python:
        from winit_cli.export.python_file import to_python

        return to_python(run, out, given["label"])
    from winit_cli.export.weights import Wanted, to_safetensors
    from winit_cli.plugins import plugged

    with plugged(plugin, given["model"], given["loss"]):
        return to_safetensors(run, out, Wanted(**given))


def _directory(
    to: Format, run: Path, out: Path | None, given: dict[str, Any], plugin: list[str], terminal: Terminal
) -> Written:
    """What was written and what was not."""
    if to is Format.csv:
        from winit_cli.export.tables import to_csv

        return to_csv(run, out)
    if to is Format.parquet:
        from winit_cli.export.parquet import to_parquet

        return to_parquet(run, out)
    from winit_cli.cli.counting import told
    from winit_cli.export.tensorboard import to_tensorboard
    from winit_cli.plugins import plugged

    with plugged(plugin, given["model"], given["loss"]), prints_aside():
        return to_tensorboard(run, out, given["model"], given["loss"], lambda rows: told(rows, terminal, "trials"))
