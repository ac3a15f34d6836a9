"""The columns of the ranked table and of the claims, as many as say something."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from winit_cli.cli.fitted import Column
from winit_cli.cli.spark import ASCII, BLOCKS, sparks

if TYPE_CHECKING:
    from winit_cli.findings import Findings
    from winit_cli.findings.numbers import Row

RATIO, AT_START = "1st/last", "at start"
# columns left out of a table that is too wide, in this order
GIVEN_UP = (
    *("p", "difference", "seeds", "steps to target", "test loss", "why"),
    *("stuck", RATIO, "loss", AT_START, "diverged", "verdict"),
)
CLAIMS_GIVEN_UP = ("metric", "interval", "n", "effect")
LABEL_WIDTH, CLAIM_WIDTH = 18, 36  # what is longer is folded before a column is left out
CEILING = 3  # times the loss of a constant answer, above which curves run along the top: one must not flatten all
SURVIVORS = "†"
DECIDED = ("better", "worse", "tied", "undecided")
STYLES = {"better": "green", "worse": "red", "supported": "green", "refuted": "red", "baseline": "bold"}


def columns_of(found: Findings, rows: list[Row], *, whole: bool, ascii_only: bool) -> list[Column]:
    """All columns that say something of these rows; a label shows its variant if it is ``whole``."""
    from winit_cli.findings.numbers import ranked

    several = len(found.run.config["train"]["lr"]) > 1
    score = [_scores(rows, "accuracy")] if found.task == "classification" else []
    compared = any(row["verdict"] in DECIDED for row in rows)
    seeds = [str(row["n"]) for row in rows]
    return [
        Column("#", [ranked(row) for row in rows], "left"),
        Column("label", [label(row, whole=whole) for row in rows], "left", folds=LABEL_WIDTH),
        *([Column("lr", [f"{row['lr']:g}" for row in rows])] if several else []),
        *score,
        _scores(rows, "loss"),
        *(_compared(rows) if compared else []),
        _curves(found, rows, ascii_only=ascii_only),
        *([Column("seeds", seeds)] if set(seeds) != {"0"} else []),
        *(_counted(rows, name) for name in ("diverged", "stuck") if any(row[name] for row in rows)),
        *_steps(rows),
        *_why(rows),
    ]


def given_up(task: str) -> tuple[str, ...]:
    """The order; the only result is never given up."""
    return tuple(name for name in GIVEN_UP if name != "test loss" or task == "classification")


def label(row: Row, *, whole: bool) -> str:
    """The label, without the varied value that stands above it."""
    return str(row["label"]) if whole else str(row["label"]).removesuffix(f"@{row['variant']}")


def score(row: Row, name: str) -> str:
    """Mean ± half the 95 % interval, marked where it is over survivors only."""
    from winit_cli.findings.numbers import with_interval

    text = with_interval(row[name], row[f"{name}_low"], row[f"{name}_high"]) or "-"
    return f"{text} {SURVIVORS}" if is_over_survivors(row) else text


def is_over_survivors(row: Row) -> bool:
    """Whether some trials have no final and others do."""
    return bool(0 < row["diverged"] < row["n"])


def _scores(rows: list[Row], name: str) -> Column:
    texts = [score(row, name) for row in rows]
    marked = any(text.endswith(SURVIVORS) for text in texts)
    return Column(f"test {name}", [text if text.endswith(SURVIVORS) or not marked else f"{text}  " for text in texts])


def _compared(rows: list[Row]) -> list[Column]:
    from winit_cli.findings.numbers import p_text, with_interval

    differences = [
        with_interval(row["difference"], row["difference_low"], row["difference_high"]) or "-" for row in rows
    ]
    return [
        Column("verdict", [row["verdict"] or "-" for row in rows], "left", styles=STYLES),
        Column("difference", differences),
        Column("p", [p_text(row["p_holm"]) or "-" for row in rows]),
    ]


def _curves(found: Findings, rows: list[Row], *, ascii_only: bool) -> Column:
    data = found.run.data
    constants = data.get("constant_losses", {}).values() or [data.get("constant_loss")]
    known = [constant for constant in constants if constant is not None and math.isfinite(constant)]
    curves = [found.curve(row["label"], row["lr"]) for row in rows]
    drawn = sparks(curves, CEILING * max(known, default=math.inf), blocks=ASCII if ascii_only else BLOCKS)
    return Column("loss", drawn, "left")


def _counted(rows: list[Row], name: str) -> Column:
    return Column(name, [str(row[name] or "-") for row in rows])


def _steps(rows: list[Row]) -> list[Column]:
    values = [row["steps_to_target"] for row in rows]
    if all(math.isnan(value) for value in values):
        return []
    return [Column("steps to target", [_steps_text(value) for value in values])]


def _steps_text(value: float) -> str:
    from winit_cli.findings.numbers import number

    return "half miss" if math.isinf(value) else number(value) or "-"


def _why(rows: list[Row]) -> list[Column]:
    """Why in words, or where these do not fit, the verdict of the probe, or the number behind them."""
    if not any(row["why"] for row in rows):
        return []
    if any(row["at_start"] for row in rows):
        short = Column(AT_START, [row["at_start"] or "-" for row in rows], "left")
    else:
        short = Column(RATIO, [_ratio(row["first_grad"], row["last_grad"]) for row in rows])
    return [Column("why", [row["why"] or "-" for row in rows], "left", instead=short)]


def _ratio(first: float, last: float) -> str:
    if math.isnan(first) or math.isnan(last):
        return "-"
    if last == 0:
        return "0/0" if first == 0 else "inf"
    return f"{first / last:.2g}"


def claims_of(rows: list[Row]) -> list[Column]:
    """The columns of claims.csv, both ends of an interval in one."""
    from winit_cli.findings.numbers import number, p_text

    texts = {name: [number(row[name]) or "-" for row in rows] for name in ("metric", "n", "effect")}
    ends = [f"{number(row['ci_low'])} to {number(row['ci_high'])}" for row in rows]
    return [
        Column("claim", [row["claim"] for row in rows], "left", folds=CLAIM_WIDTH),
        Column("metric", texts["metric"], "left"),
        *(Column(name, texts[name]) for name in ("n", "effect")),
        Column("interval", ["-" if text == " to " else text for text in ends]),
        Column("p", [p_text(row["p"]) or "-" for row in rows]),
        Column("verdict", [row["verdict"] for row in rows], "left", styles=STYLES),
    ]
