"""The cells of a scan as a table that fits a terminal: verdict and ratio of gradients in each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.markup import escape
from rich.table import Table

from winit_cli.cli.terminal import Terminal
from winit_cli.numerals import short

if TYPE_CHECKING:
    from winit_cli.probe.scan import Cell

CODES = {
    "healthy": "ok",
    "vanishing": "van",
    "exploding": "exp",
    "dead": "dead",
    "saturated": "sat",
    "symmetric": "sym",
    "chaotic": "cha",
}
AXES = ("label", "depth", "width", "sigma_w")
RESULT = "result"  # heads the column of a model that has neither depth nor width
GAP, NUMBER = 2, 6  # letters between columns, and of a number


def print_cells(terminal: Terminal, cells: Sequence[Cell]) -> None:
    """Rows by label, sigma_w and depth, columns by width or depth; in blocks where they are too many, and with short
    words where long ones do not fit."""
    values = {axis: list(dict.fromkeys(cell.place[place] for cell in cells)) for place, axis in enumerate(AXES)}
    across = "width" if len(values["width"]) > 1 else "depth"
    down = [axis for axis in ("label", "sigma_w", "width", "depth") if axis != across and len(values[axis]) > 1]
    down = down or ["label"]
    left = sum(GAP + max(len(axis), *(len(_text(value)) for value in values[axis])) for axis in down)
    words = {cell.verdict.verdict for cell in cells}
    fits = left + len(values[across]) * (GAP + NUMBER + 1 + max(map(len, words))) <= terminal.out.width
    named = {word: word if fits else CODES[word] for word in words}
    room = max(1, (terminal.out.width - left) // (GAP + NUMBER + 1 + max(map(len, named.values()))))
    for start in range(0, len(values[across]), room):
        terminal.print(_block(terminal, cells, across, values[across][start : start + room], down, named))
    terminal.print()
    if not fits:
        legend = " · ".join(f"{CODES[word]} {word}" for word in CODES if word in words)
        terminal.print(f"[dim]{legend}[/dim]")


def _block(
    terminal: Terminal,
    cells: Sequence[Cell],
    across: str,
    shown: Sequence[Any],
    down: Sequence[str],
    named: dict[str, str],
) -> Table:
    table = Table(box=box.SIMPLE_HEAD if terminal.out.is_terminal else None, pad_edge=False, padding=(0, GAP, 0, 0))
    for axis in down:
        table.add_column(axis, overflow="fold", justify="left" if axis == "label" else "right")
    for value in shown:
        named_axis = RESULT if value is None else f"{across} {_text(value)}"
        table.add_column(named_axis if value == shown[0] else _text(value), no_wrap=True)
    rows: dict[tuple[Any, ...], dict[Any, str]] = {}
    for cell in cells:
        place = dict(zip(AXES, cell.place, strict=True))
        text = f"{_number(ratio(cell)):>{NUMBER}} {named[cell.verdict.verdict]}"
        rows.setdefault(tuple(place[axis] for axis in down), {})[place[across]] = text
    for key, found in rows.items():
        table.add_row(*(escape(_text(value)) for value in key), *(found.get(value, "") for value in shown))
    return table


def ratio(cell: Cell) -> float:
    """The number that a cell shows: of recurrent models over time, of others from the head to the first layer."""
    over_time = cell.median("time_ratio")
    return cell.median("gradient_ratio") if math.isnan(over_time) else over_time


def _number(ratio: float) -> str:
    return "-" if math.isnan(ratio) else short(ratio, 1 if ratio and not 1e-3 <= ratio < 1e3 else 2)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else "-" if value is None else str(value)
