"""Tables as wide as the terminal: labels fold first, then columns are given up in a stated order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

GAP = 2  # letters between columns
LEAST = 5  # letters that a folded column keeps


@dataclass(frozen=True)
class Column:
    """A heading and a text per row. ``folds`` is the width down to which its texts are folded before another column is
    given up, ``instead`` what takes its place if it is given up itself, ``styles`` how some of its texts look."""

    name: str
    cells: Sequence[str]
    justify: Literal["left", "right"] = "right"
    folds: int | None = None
    instead: Column | None = None
    styles: Mapping[str, str] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Letters of the longest text."""
        return max(map(len, [self.name, *self.cells]))

    def shown(self, row: int) -> str:
        """A cell as markup."""
        text = self.cells[row]
        style = self.styles.get(text)
        return f"[{style}]{escape(text)}[/{style}]" if style else escape(text)


def fitted(columns: Sequence[Column], given_up: Sequence[str], width: int) -> list[Column]:
    """The columns that fit, after leaving out as many of ``given_up`` as it takes, the first ones first.

    The last of them stays as long as folding everything to LEAST letters makes room for it.
    """
    left = list(columns)
    for name in given_up:
        if _width(left, LEAST if name == given_up[-1] else None) > width:
            left = [kept for column in left for kept in (_without(column) if column.name == name else [column])]
    return left


def _without(column: Column) -> list[Column]:
    return [column.instead] if column.instead else []


def _width(columns: Sequence[Column], folded: int | None) -> int:
    widths = [column.width if column.folds is None else min(column.width, folded or column.folds) for column in columns]
    return sum(widths) + GAP * (len(columns) - 1)


def table(columns: Sequence[Column], console: Console, *, breaks: Sequence[int] = ()) -> Table:
    """The columns as a table, with a rule under the headings on a terminal; rows of ``breaks`` begin a new part."""
    lines = box.SIMPLE_HEAD if console.is_terminal else None
    made = Table(box=lines, show_edge=False, pad_edge=False, padding=(0, GAP - 1 if lines else GAP, 0, 0))
    for column in columns:
        folds = column.folds is not None
        made.add_column(
            column.name,
            justify=column.justify,
            no_wrap=not folds,
            overflow="fold",
            min_width=LEAST if folds else None,
        )
    for row in range(len(columns[0].cells) if columns else 0):
        if row in breaks:
            made.add_section()
        made.add_row(*(column.shown(row) for column in columns))
    return made
