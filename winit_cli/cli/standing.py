"""The ranked table at the end of a run, and its JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from rich import box
from rich.markup import escape
from rich.table import Table

from winit_cli.cli.terminal import Terminal

if TYPE_CHECKING:
    from winit_cli.store.frames import RunFrames

# columns left out of a table that is too wide, in this order
GIVEN_UP = ("last |grad|", "first |grad|", "stuck", "seeds", "test loss", "diverged")
LABEL_WIDTH = 24  # a longer label is folded before a column is left out


def show(terminal: Terminal, run: RunFrames) -> None:
    """Print the ranked table of a run."""
    from winit_cli.findings import Findings

    rows = Findings(run).standings.to_dict("records")
    console = terminal.out
    columns = _columns(run, rows, console.width)
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    for name, _, justify in columns:
        is_label = name == "label"
        table.add_column(
            name, justify=justify, no_wrap=not is_label, overflow="fold", min_width=5 if is_label else None
        )
    for row in rows:
        table.add_row(*(cell(row) for _, cell, _ in columns))
    terminal.print(table)
    for line in _explanations(run, rows):
        terminal.print(f"[dim]{escape(line)}[/dim]")


def document(run: RunFrames) -> dict[str, Any]:
    """The ranking with where it comes from, for ``--json``."""
    from winit_cli.findings import Findings

    rows = Findings(run).standings.astype(object).to_dict("records")
    return {"run": str(run.path), **run.status, "task": run.data["task"], "ranking": rows}


def _columns(run: RunFrames, rows: list[Any], width: int) -> list[tuple[str, Any, Any]]:
    """Name, text of a row and alignment of each column that says something, as many as fit the width."""
    several_rates = len({row["lr"] for row in rows}) > 1
    accuracy = [("test accuracy", lambda row: _interval(row, "accuracy"), "right")]
    columns: list[tuple[str, Any, Any]] = [
        ("#", lambda row: str(row["rank"]), "right"),
        ("label", lambda row: escape(str(row["label"])), "left"),
        *([("lr", lambda row: f"{row['lr']:g}", "right")] if several_rates else []),
        *(accuracy if run.data["task"] == "classification" else []),
        ("test loss", lambda row: _interval(row, "loss"), "right"),
        ("seeds", lambda row: str(row["n"]), "right"),
        ("diverged", lambda row: str(row["diverged"] or "-"), "right"),
        ("stuck", lambda row: str(row["stuck"] or "-"), "right"),
        ("first |grad|", lambda row: _short(row["first_grad"]), "right"),
        ("last |grad|", lambda row: _short(row["last_grad"]), "right"),
    ]
    for name in GIVEN_UP:
        is_only_result = name == "test loss" and run.data["task"] != "classification"
        if _width(columns, rows) > width and not is_only_result:
            columns = [column for column in columns if column[0] != name]
    return columns


def _width(columns: list[tuple[str, Any, Any]], rows: list[Any]) -> int:
    """Of the table in characters, with two between columns."""
    widest = {name: max(len(text) for text in [name, *map(cell, rows)]) for name, cell, _ in columns}
    return sum(widest.values()) - max(0, widest["label"] - LABEL_WIDTH) + 2 * len(widest)


def _interval(row: Any, name: str) -> str:
    """Mean ± half the 95 % interval."""
    mean, half = row[name], (row[f"{name}_high"] - row[f"{name}_low"]) / 2
    if math.isnan(mean):
        return "-"
    return _short(mean) if math.isnan(half) else f"{_short(mean)} ± {half:.2g}"


def _short(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.3f}" if 0.01 <= abs(value) < 1000 else f"{value:.2g}"


def _explanations(run: RunFrames, rows: list[Any]) -> list[str]:
    lines = ["mean ± half of the 95 % Student-t interval over seeds; |grad| is the gradient norm at step 0"]
    if any(row["diverged"] for row in rows):
        lines.append("diverged trials have no finals: the means are over the others, the ranking counts them as worst")
    if any(row["stuck"] for row in rows):
        constant = run.data["constant_loss"]
        loss = "" if constant is None else f" (loss {constant:.4g})"
        lines.append(f"stuck: not 1 % better than always predicting the same{loss}")
    return lines
