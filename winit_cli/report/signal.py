"""What was known before training: the probe's verdicts beside how training went, and mean-field numbers."""

from __future__ import annotations

from pandas import DataFrame

from winit_cli.findings.numbers import records
from winit_cli.report.tables import Cell, Column, Table, cell

WORDS = {True: "yes", False: "no", None: ""}
NUMBERS = ("sigma_w2", "sigma_b2", "q_star", "chi_1", "c_star", "xi_c", "gradient_factor")


def verdicts(frame: DataFrame) -> Table:
    """One row per label: the verdict, the number behind it, and how training went."""
    columns = [Column("label"), Column("verdict"), Column("layer"), Column("number", numeric=True)]
    columns += [Column("training"), Column("foretold")]
    rows = [
        [
            Cell(row["label"]),
            cell(row["verdict"]),
            cell(row["layer"]),
            cell(row["value"], note=row["metric"]),
            cell(row["trained"]),
            Cell(WORDS[row["foretold"]]),
        ]
        for row in records(frame.astype(object))
    ]
    return Table("verdicts at initialization", columns, rows)


def advice(frame: DataFrame) -> list[tuple[str, str]]:
    """What to do for each label that is not healthy; what healthy means where all are."""
    rows = records(frame)
    ill = [(row["label"], row["advice"]) for row in rows if row["verdict"] != "healthy"]
    return ill or [("healthy", row["advice"]) for row in rows[:1]]


def theory(frame: DataFrame) -> Table:
    """The mean-field numbers of each label."""
    columns = [Column("label"), Column("activation"), Column("phase")]
    columns += [Column(name, numeric=True) for name in NUMBERS]
    rows = [
        [Cell(row["label"]), Cell(row["activation"]), Cell(row["phase"]), *(cell(row[name]) for name in NUMBERS)]
        for row in records(frame)
    ]
    return Table("mean-field numbers", columns, rows)
