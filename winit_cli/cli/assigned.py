"""``winit check --parameters``: which scheme fills which parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.markup import escape
from rich.table import Table

from winit_cli.cli.terminal import Terminal

if TYPE_CHECKING:
    from winit_cli.plan import Plan

COLUMNS = ("param", "shape", "scheme", "rule", "expected_std")


def assigned(plan: Plan) -> list[dict[str, Any]]:
    """One row per label and parameter, as ``init.csv`` will have it but for what is measured."""
    from winit_cli.lint.subject import Study

    return [
        {
            "label": label.name,
            "param": filled.name,
            "shape": "x".join(map(str, filled.slot.shape)) or "scalar",
            "scheme": filled.use.scheme,
            "rule": filled.rule,
            "expected_std": filled.moments.std,
        }
        for label in Study(plan).labels
        for filled in label.parameters
    ]


def show(terminal: Terminal, rows: list[dict[str, Any]]) -> None:
    """A table for each label; labels that fill all parameters alike share one."""
    tables: dict[tuple[Any, ...], dict[str, None]] = {}
    by_label: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        by_label.setdefault(row["label"], []).append(tuple(row[name] for name in COLUMNS))
    for label, cells in by_label.items():
        tables.setdefault(tuple(cells), {})[label] = None
    for content, labels in tables.items():
        terminal.print(f"\n[bold]{escape(', '.join(labels))}[/]")
        terminal.print(_table(terminal, content))


def _table(terminal: Terminal, content: tuple[Any, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD if terminal.out.is_terminal else None, pad_edge=False)
    for name in COLUMNS:
        title = name.replace("_", " ")
        table.add_column(title, overflow="fold", justify="right" if name == "expected_std" else "left")
    for *texts, std in content:
        table.add_row(*map(escape, texts), "-" if std is None else f"{std:.4g}")
    return table
