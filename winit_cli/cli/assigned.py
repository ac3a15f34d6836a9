"""``winit check --parameters``: which scheme fills which parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.markup import escape
from rich.table import Table

from winit_cli.cli.terminal import Terminal

if TYPE_CHECKING:
    from winit_cli.plan import Plan

NUMBERS = ("expected_std", "lr_factor")
COLUMNS = ("param", "shape", "scheme", "rule", "expected_std", "lr_factor")


def assigned(plan: Plan) -> list[dict[str, Any]]:
    """One row per label and parameter, as ``init.csv`` will have it but for what is measured, with what multiplies the
    learning rate."""
    from winit_cli.lint.filled import moments_of
    from winit_cli.schemes.apply import assign

    return [
        {
            "label": entry.label + setting.suffix,
            "param": assignment.slot.name,
            "shape": "x".join(map(str, assignment.slot.shape)) or "scalar",
            "scheme": (assignment.fitted or assignment.use).scheme,
            "rule": assignment.rule,
            "expected_std": moments_of(assignment).std,
            "lr_factor": assignment.rate(setting.train.optimizer),
        }
        for setting in plan.settings
        for entry in setting.experiment.schemes
        for assignment in assign(setting.rehearsal.slots, entry.recipe)
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
    has_factors = any(factor != 1 for *_, factor in content)
    for name in COLUMNS if has_factors else COLUMNS[:-1]:
        table.add_column(name.replace("_", " "), overflow="fold", justify="right" if name in NUMBERS else "left")
    for *texts, std, factor in content:
        numbers = ["-" if std is None else f"{std:.4g}", f"{factor:.4g}"]
        table.add_row(*map(escape, texts), *numbers[: 2 if has_factors else 1])
    return table
