"""Every label against every other, where they were compared, and all comparisons as a list."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pandas import DataFrame

from winit_cli.findings import Findings
from winit_cli.findings.numbers import Row, records
from winit_cli.plots.style import short
from winit_cli.report.standings import p_relation, signed
from winit_cli.report.tables import MOST, Cell, Column, Table, cell, cut_at, span
from winit_cli.stats import split_label

OPPOSITE = {"better": "worse", "worse": "better"}
LISTED = {
    **{"a": "label_a", "b": "label_b", "lr": "lr", "metric": "metric", "n": "n"},
    **{"difference a − b": "difference", "a beats b": "probability_of_improvement", "verdict of a": "verdict"},
    **{"p": "p", "p (Holm)": "p_holm", "seeds needed": "seeds_needed"},
}
TEXTS = {"a", "b", "metric", "verdict of a"}
FEWEST = 3  # labels of a matrix; fewer are said by the ranked table
LARGEST = 40


@dataclass(frozen=True)
class Matrix:
    """The comparisons of one variant and rate."""

    title: str
    table: Table


def matrices(found: Findings, labels: list[str]) -> list[Matrix]:
    """A matrix per variant and rate, of the metric that ranks; none where all were compared with one label alone."""
    frame = found.tables.comparisons
    if frame.empty:
        return []
    frame = frame[frame["metric"] == found.metric]
    several = frame["lr"].nunique() > 1
    matrices: list[Matrix] = []
    for (variant, lr), mine in frame.groupby([frame["label_a"].map(_variant), frame["lr"].map(str)], sort=False):
        there = [label for label in labels if (mine[["label_a", "label_b"]] == label).any(axis=None)]
        if FEWEST <= len(there) <= LARGEST and mine["label_b"].nunique() > 1:
            rate = f"learning rate {lr}" if several else ""
            title = ", ".join(filter(None, (str(variant), rate)))
            matrices.append(Matrix(title, _table(mine, there, title)))
    return matrices


def listed(found: Findings) -> Table:
    """All comparisons of all metrics."""
    frame = found.tables.comparisons
    several = frame["lr"].nunique() > 1
    names = [name for name in LISTED if name != "lr" or several]
    columns = [Column(name, numeric=name not in TEXTS) for name in names]
    rows = [[_part(name, row) for name in names] for row in records(frame[:MOST])]
    return Table("all comparisons", columns, rows, cut=cut_at(len(frame), "comparisons.csv"))


def _part(name: str, row: Row) -> Cell:
    if name == "difference a − b":
        return cell(row["difference"], note=span(row["ci_low"], row["ci_high"]))
    if name == "a beats b":
        return cell(row["probability_of_improvement"], note=span(row["poi_low"], row["poi_high"]))
    if name == "verdict of a":
        return Cell(str(row["verdict"]), kind=f"verdict {row['verdict']}")
    if name == "seeds needed" and math.isinf(row["seeds_needed"]):
        return Cell("over 1,000", math.inf)
    return cell(row[LISTED[name]])


def _variant(label: str) -> str:
    return split_label(label)[1]


def _table(frame: DataFrame, labels: list[str], title: str) -> Table:
    rows = {(row["label_a"], row["label_b"]): row for row in records(frame)}
    names = short([split_label(label)[0] for label in labels], 24)
    columns = [Column("row against column"), *(Column(names[split_label(label)[0]]) for label in labels)]
    cells = [[Cell(split_label(a)[0]), *(_cell(rows, a, b) for b in labels)] for a in labels]
    return Table(f"label against label {title}".strip(), columns, cells, plain=True)


def _cell(rows: dict[tuple[str, str], Row], a: str, b: str) -> Cell:
    if (a, b) in rows:
        return _said(rows[a, b], 1)
    return _said(rows[b, a], -1) if (b, a) in rows else Cell(kind="pair none")


def _said(row: Row, sign: int) -> Cell:
    """A comparison read from a's side, or with a negative sign from b's."""
    verdict = str(row["verdict"])
    verdict = verdict if sign > 0 else OPPOSITE.get(verdict, verdict)
    chance = row["probability_of_improvement"]
    chance = chance if sign > 0 else 1 - chance
    gap = "" if math.isnan(row["difference"]) else f"{signed(sign * row['difference'])}, "
    text = verdict if math.isnan(chance) else f"{chance:.2f} {verdict}"
    return Cell(text, note=f"{gap}p {p_relation(row['p_holm'])}", kind=f"pair {verdict}")
