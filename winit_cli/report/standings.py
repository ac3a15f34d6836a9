"""The ranked table: a row per label and rate with its result, verdict and reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from winit_cli.findings import Findings
from winit_cli.findings.numbers import Row, number, open_places, p_text, records, with_interval
from winit_cli.plots.panels import Facet
from winit_cli.plots.window import Window, constant_of, window_of
from winit_cli.report.charts import Key, keys
from winit_cli.report.sparkline import sparkline
from winit_cli.report.tables import Cell, Column, Table
from winit_cli.stats import split_label
from winit_cli.store.frames import RunFrames

MEANINGS = {
    "rank": "Place by the mean of the metric. Below it the places that these seeds leave open to it. A diverged trial "
    "counts as the worst value seen; equal rows share a place.",
    "label": "The configured use of a scheme, and below it the scheme where the label does not say it.",
    "lr": "Learning rate.",
    "test accuracy": "Share of the test part classified correctly after the last update: mean over the seeds that did "
    "not diverge ± half of its 95 % Student-t interval.",
    "test loss": "Mean loss over the test part after the last update, in the same form.",
    "against the baseline": "Verdict of the test paired by seed, corrected by Holm's method; the mean difference to "
    "the baseline with its 95 % interval. Undecided is not equal: it says that more seeds are needed.",
    "loss": "Median loss of the training batch over the steps, on one scale for all rows.",
    "outcomes": "How many trials learned, stayed stuck (no better than the best constant answer) or diverged (a loss "
    "or gradient became infinite or undefined).",
    "steps to target": "Median number of updates until the test part reaches the target; a trial that misses it "
    "counts as infinitely slow, so that half of them missing it leaves no median.",
    "why": "What the signals and gradients at the start say about it.",
}
NUMERIC = {"rank", "lr", "test accuracy", "test loss", "steps to target"}
MINUS = "−"


@dataclass(frozen=True)
class Ranking:
    """The rows of one variant."""

    variant: str
    table: Table


def rankings(run: RunFrames, found: Findings) -> list[Ranking]:
    """A table per variant, best first."""
    columns = columns_of(run, found)
    shown = [Column(name, MEANINGS[name], numeric=name in NUMERIC) for name in columns]
    legend = keys(run.labels)
    tables: list[Ranking] = []
    for variant in dict.fromkeys(found.standings["variant"]):
        rows = records(found.standings[found.standings["variant"] == variant])
        window = _window(run, [row["label"] for row in rows])
        cells = [[_cell(name, row, found, legend, window) for name in columns] for row in rows]
        about = f"ranking at {variant}" if variant else "ranking"
        tables.append(Ranking(variant, Table(about, shown, cells, head=1, wide=True)))
    return tables


def columns_of(run: RunFrames, found: Findings) -> list[str]:
    """Those that have something to say."""
    table = found.standings
    absent = {
        "lr": table["lr"].nunique() <= 1,
        "test accuracy": found.task != "classification",
        "against the baseline": not (table["verdict"].isin(["better", "worse", "tied", "undecided"])).any(),
        "loss": run.curves.empty,
        "steps to target": not table["steps_to_target"].notna().any(),
        "why": not table["why"].fillna("").astype(bool).any(),
    }
    return [name for name in MEANINGS if not absent.get(name)]


def _window(run: RunFrames, labels: list[str]) -> Window:
    """What all small curves of a table share: the part of the axis that the curves of the first rate need."""
    lr = float(run.trials["lr"].iloc[0]) if len(run.trials) else math.nan
    facet = Facet(tuple(labels), lr, "")
    frame = run.curves[run.curves["label"].isin(labels) & (run.curves["split"] == "train") & run.curves["loss"].notna()]
    lost = run.trials.loc[run.trials["status"] == "diverged", "trial"]
    return window_of(frame, "loss", constant_of(run, facet), list(lost))


def _cell(name: str, row: Row, found: Findings, legend: dict[str, Key], window: Window) -> Cell:
    plain: dict[str, Callable[[], Cell]] = {
        "rank": lambda: _rank(row),
        "label": lambda: _label(row, legend),
        "lr": lambda: Cell(f"{row['lr']:g}", row["lr"]),
        "test accuracy": lambda: _mean(row, "accuracy"),
        "test loss": lambda: _mean(row, "loss"),
        "against the baseline": lambda: _verdict(row),
        "loss": lambda: Cell(spark=sparkline(found.curve(row["label"], row["lr"]), window), kind="spark"),
        "outcomes": lambda: _outcomes(row),
        "steps to target": lambda: _steps(row["steps_to_target"]),
        "why": lambda: Cell(row["why"] or "", kind="why"),
    }
    return plain[name]()


def _rank(row: Row) -> Cell:
    return Cell(number(row["rank"]), row["rank"], f"{open_places(row)} of {row['of']}", "rank")


def _label(row: Row, legend: dict[str, Key]) -> Cell:
    base = split_label(row["label"])[0]
    scheme = "" if row["scheme"] and base.startswith(row["scheme"]) else row["scheme"]
    return Cell(base, note=scheme or "", key=legend.get(row["label"]), kind="label")


def _mean(row: Row, kind: str) -> Cell:
    survivors = row["n"] - row["diverged"]
    note = f"over {survivors} of {row['n']}" if row["diverged"] and survivors else ""
    return Cell(with_interval(row[kind], row[f"{kind}_low"], row[f"{kind}_high"]), _sortable(row[kind]), note)


def _verdict(row: Row) -> Cell:
    if row["verdict"] not in ("better", "worse", "tied", "undecided"):
        return Cell(row["verdict"] or "", kind=f"verdict {row['verdict'] or 'none'}")
    needed = row["seeds_needed"]
    more = "over 1,000 seeds to decide" if math.isinf(needed) else f"about {needed:.0f} seeds to decide"
    said = [difference(row), f"p {p_relation(row['p_holm'])}", "" if math.isnan(needed) else more]
    return Cell(row["verdict"], _sortable(row["p_holm"]), "\n".join(filter(None, said)), f"verdict {row['verdict']}")


def difference(row: Row) -> str:
    """``+0.012 ± 0.008``, blank where there is none."""
    if math.isnan(row["difference"]):
        return ""
    text = with_interval(row["difference"], row["difference_low"], row["difference_high"])
    if row["difference"] == 0:
        return text
    return text.replace("-", MINUS, 1) if text.startswith("-") else f"+{text}"


def signed(value: float) -> str:
    """Three digits with a sign."""
    return ("+" if value > 0 else MINUS if value < 0 else "") + f"{abs(value):.3g}"


def p_relation(p: float) -> str:
    """``= 0.012`` or ``< 0.001``."""
    text = p_text(p)
    return f"< {text[1:]}" if text.startswith("<") else f"= {text}" if text else "unknown"


def _outcomes(row: Row) -> Cell:
    learned = row["n"] - row["stuck"] - row["diverged"]
    counts = {"learned": learned, "stuck": row["stuck"], "diverged": row["diverged"]}
    text = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return Cell(text or "none finished", float(learned), kind="outcomes")


def _steps(value: float) -> Cell:
    if math.isinf(value):
        return Cell("half miss", math.inf, kind="quiet")
    return Cell(number(value), _sortable(value))


def _sortable(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
