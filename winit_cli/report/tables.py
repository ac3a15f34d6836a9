"""Tables of the page: cells that can be sorted, and the ones that are made of plain rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pandas import DataFrame

from winit_cli.findings.numbers import number, records
from winit_cli.report.charts import Key
from winit_cli.report.sparkline import Sparkline
from winit_cli.store.frames import RunFrames

MOST = 2000  # rows of one table
AUDIT = ("label", "param", "shape", "scheme", "rule", "fan_in", "fan_out", "gain", "mean", "std", "expected_std")


@dataclass(frozen=True)
class Cell:
    """A text, what it is sorted by if that is a number, a smaller second line, and how it is drawn."""

    text: str = ""
    value: float | None = None
    note: str = ""
    kind: str = ""
    key: Key | None = None
    spark: Sparkline | None = None


@dataclass(frozen=True)
class Column:
    """A heading; numbers stand at the right."""

    name: str
    meaning: str = ""
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """``about`` names the table for those who cannot see it, ``head`` is the column that names a row."""

    about: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    head: int = 0
    cut: str = ""
    wide: bool = False
    plain: bool = False

    @property
    def anchor(self) -> str:
        """The name as an id."""
        return "table-" + "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in self.about)


def cell(value: object, *, note: str = "") -> Cell:
    """A value as a cell: numbers with four digits, blank for what is missing."""
    return Cell(number(value), float(value) if _is_number(value) else None, note)  # type: ignore[arg-type]


def of_frame(frame: DataFrame, about: str, file: str, *, head: int = 0) -> Table:
    """A data frame as it is, cut where it is too long to be read in a browser."""
    columns = [Column(str(name), numeric=_is_numeric(frame[name])) for name in frame.columns]
    rows = [[cell(value) for value in row] for row in frame[:MOST].astype(object).itertuples(index=False)]
    return Table(about, columns, rows, head, cut_at(len(frame), file))


def cut_at(rows: int, file: str) -> str:
    """What is said of a table that does not show all rows."""
    return f"The first {MOST:,} of {rows:,} rows; {file} has them all." if rows > MOST else ""


def audit(run: RunFrames) -> Table:
    """What every parameter of the first seed was filled with."""
    frame = run.init
    if len(frame):
        frame = frame[frame["seed"] == frame["seed"].iloc[0]].drop_duplicates(["label", "param"])
    table = of_frame(frame[list(AUDIT)], "how every parameter was filled", "init.csv")
    return Table(table.about, table.columns, table.rows, head=1, cut=table.cut)


def trials(run: RunFrames) -> Table:
    """Every trial, without the columns that are empty throughout or said by others."""
    frame = run.trials.drop(columns=["trial", "scheme"], errors="ignore")
    empty = [name for name in frame.columns if frame[name].replace("", None).isna().all()]
    frame = frame.drop(columns=[name for name in empty if name not in ("outcome",)])
    if "init_hash" in frame:
        frame = frame.assign(init_hash=[text[:8] if isinstance(text, str) else "" for text in frame["init_hash"]])
    return of_frame(frame, "every trial", "trials.csv")


def claims(frame: DataFrame) -> Table:
    """What was claimed, and what the run says about it."""
    columns = [Column("claim"), Column("verdict"), Column("effect", numeric=True), Column("p (Holm)", numeric=True)]
    columns += [Column("n", numeric=True), Column("metric")]
    rows = [
        [
            Cell(str(row["claim"])),
            Cell(str(row["verdict"]), kind=f"verdict {row['verdict']}"),
            cell(row["effect"], note=span(row["ci_low"], row["ci_high"])),
            cell(row["p"]),
            cell(row["n"]),
            cell(row["metric"]),
        ]
        for row in records(frame)
    ]
    return Table("claims", columns, rows, wide=True)


def span(low: object, high: object) -> str:
    """``0.1 to 0.3``, blank without ends."""
    return f"{number(low)} to {number(high)}" if _is_number(low) and _is_number(high) else ""


def pairs(mapping: Mapping[str, Any], about: str) -> Table:
    """A mapping as a table of two columns, nested ones with dotted names."""
    rows = [[Cell(name), Cell(text)] for name, text in _flat(mapping)]
    return Table(about, [Column("what"), Column("value")], rows, plain=True)


def _flat(mapping: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for key, value in mapping.items():
        if isinstance(value, dict):
            yield from ((f"{key}.{name}", text) for name, text in _flat(value))
        else:
            yield str(key), "none" if value is None else str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)


def _is_numeric(values: Iterable[object]) -> bool:
    present = [value for value in values if value is not None and value == value]
    return bool(present) and all(_is_number(value) for value in present)
