"""The tables of the report: headings and rows of texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pandas import DataFrame

from winit_cli.findings.numbers import Row, number, records, with_interval
from winit_cli.stats import split_label
from winit_cli.store.frames import RunFrames

AUDIT = ("label", "param", "shape", "scheme", "rule", "fan_in", "fan_out", "gain", "mean", "std", "expected_std")
MEANINGS = {
    "rank": "place by mean test accuracy (test loss for regression), within one variant; a diverged trial counts as "
    "the worst value seen, equal rows share a place",
    "label": "the configured use of a scheme; after @ stands the varied value",
    "lr": "learning rate",
    "seeds": "finished trials, the diverged among them",
    "test accuracy": "share of the test part classified correctly after the last update: mean over the seeds that did "
    "not diverge ± half of its 95 % Student-t interval",
    "test loss": "mean loss over the test part after the last update, in the same form",
    "stuck": "trials no better than the best constant answer",
    "diverged": "trials whose loss or gradient became infinite or undefined",
    "first gradient": "gradient norm of the first weight tensor before training, median over the seeds",
    "last gradient": "the same for the last weight tensor",
}


@dataclass(frozen=True)
class Table:
    """A table of texts; ``columns`` are its headings."""

    columns: list[str]
    rows: list[list[str]]


def standings(ranked: DataFrame, *, task: str) -> Table:
    """The ranking as shown: no accuracy for regression, no learning rate where there is only one."""
    drop = {"test accuracy"} if task != "classification" else set()
    drop |= {"lr"} if ranked["lr"].nunique() <= 1 else set()
    columns = [name for name in MEANINGS if name not in drop]
    cells = [_standing(row) for row in records(ranked)]
    return Table(columns, [[row[name] for name in columns] for row in cells])


def _standing(row: Row) -> dict[str, str]:
    return {
        "rank": number(row["rank"]),
        "label": row["label"],
        "lr": f"{row['lr']:g}",
        "seeds": number(row["n"]),
        "test accuracy": with_interval(row["accuracy"], row["accuracy_low"], row["accuracy_high"]),
        "test loss": with_interval(row["loss"], row["loss_low"], row["loss_high"]),
        "stuck": number(row["stuck"]),
        "diverged": number(row["diverged"]),
        "first gradient": number(row["first_grad"]),
        "last gradient": number(row["last_grad"]),
    }


def audit(run: RunFrames) -> Table:
    """What every parameter of the first seed was filled with."""
    if run.init.empty:
        return Table(list(AUDIT), [])
    first = run.init[run.init["seed"] == run.init["seed"].iloc[0]].drop_duplicates(["label", "param"])
    rows = first[list(AUDIT)].astype(object).itertuples(index=False)
    return Table(list(AUDIT), [[number(cell) for cell in row] for row in rows])


def pairs(mapping: dict[str, Any]) -> Table:
    """A mapping as a table of two columns, nested ones with dotted names."""
    rows: list[list[str]] = []
    for key, value in mapping.items():
        if isinstance(value, dict):
            rows += [[f"{key}.{name}", text] for name, text in pairs(value).rows]
        else:
            rows.append([str(key), "none" if value is None else str(value)])
    return Table(["what", "value"], rows)


def variants_of(run: RunFrames) -> int:
    """How many comparisons the run holds, one per varied value."""
    return len({split_label(label)[1] for label in run.labels})
