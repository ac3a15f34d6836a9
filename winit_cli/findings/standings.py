"""The ranked table: labels and learning rates, the best first, with all that is said of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame

from winit_cli.findings.numbers import Row, records
from winit_cli.findings.tables import Tables
from winit_cli.findings.why import ended, why
from winit_cli.stats import (
    SELECTED,
    at_selected,
    by_variant,
    groups,
    headline,
    moments,
    numbers_of,
    places,
    split_label,
)
from winit_cli.store.frames import RunFrames

COLUMNS = (
    *("rank", "label", "scheme", "lr", "n", "diverged", "stuck", "accuracy", "accuracy_low", "accuracy_high"),
    *("loss", "loss_low", "loss_high", "first_grad", "last_grad", "rank_low", "rank_high", "of", "variant"),
    *("difference", "difference_low", "difference_high", "p_holm", "probability_of_improvement", "poi_low", "poi_high"),
    *("verdict", "seeds_needed", "steps_to_target", "loss_area", "at_start", "why", "beats"),
)
COMPARED = {
    "difference": "difference",
    "difference_low": "ci_low",
    "difference_high": "ci_high",
    **{name: name for name in ("p_holm", "probability_of_improvement", "poi_low", "poi_high", "verdict")},
    "seeds_needed": "seeds_needed",
}


def standings(run: RunFrames, tables: Tables) -> DataFrame:
    """One row per label and learning rate (only the selected one of each label, where rates were selected), ranked
    within its variant by mean test accuracy, or test loss for regression.

    Means and intervals are over the survivors, ``n`` counts all finished trials. What is said against the baseline is
    blank for the baseline itself, whose ``verdict`` is ``baseline``. ``at_start`` is the probe's verdict. ``beats``
    holds the (label, lr) of the rivals that are worse beyond chance. ``first_grad`` and ``last_grad`` are medians over
    the seeds at step 0 of the first and the last weight.
    """
    metric = headline(run.data["task"])
    gradients = run.weight_gradients
    start = gradients[gradients["step"] == 0]
    variants = by_variant(run.labels).values()
    probed = {row["label"]: row for row in records(run.verdicts)}
    rows = [row for labels in variants for row in _of_variant(run.trials, start, tables, labels, metric, probed)]
    return DataFrame(rows, columns=list(COLUMNS))


def _of_variant(
    trials: DataFrame,
    start: DataFrame,
    tables: Tables,
    labels: list[str],
    metric: str,
    probed: Mapping[str, Row],
) -> Iterator[dict[str, object]]:
    rates = tables.rules.selected
    there = list(groups(trials, labels))
    compared = at_selected(there, rates) if rates else there
    found = places([group for _, _, group in compared], metric)
    named = [(label, rates[label] if lr == SELECTED else float(lr)) for label, lr, _ in compared]
    # ties keep the config's order
    for at in sorted(range(len(found)), key=lambda at: found[at].key):
        place, (label, lr, group), rate = found[at], compared[at], named[at][1]
        yield {
            "variant": split_label(label)[1],
            "rank": place.rank,
            "rank_low": place.low,
            "rank_high": place.high,
            "of": place.of,
            "label": label,
            "lr": rate,
            "beats": tuple(named[rival] for rival in place.beats),
            **(results := _results(group)),
            **_gradients(start, label, rate, probed.get(label), results),
            **_compared(tables, label, lr, metric),
            **_learning(tables.learning, label, rate),
        }


def _results(group: DataFrame) -> dict[str, Any]:
    found: dict[str, Any] = {
        "scheme": str(group["scheme"].iloc[0]) if len(group) else "",
        "n": len(group),
        "diverged": int((group["status"] == "diverged").sum()),
        "stuck": int((group["outcome"] == "stuck").sum()),
    }
    for name in ("accuracy", "loss"):
        values = moments(numbers_of(group, f"final_test_{name}"))
        found |= {name: values["mean"], f"{name}_low": values["ci_low"], f"{name}_high": values["ci_high"]}
    return found


def _gradients(
    start: DataFrame, label: str, lr: float, verdict: Row | None, results: Mapping[str, Any]
) -> dict[str, object]:
    own = start[(start["label"] == label) & (start["lr"] == lr)]
    weights = list(dict.fromkeys(own["param"]))
    first, last = (_median(own, weights[end]) if weights else math.nan for end in (0, -1))
    return {
        "first_grad": first,
        "last_grad": last,
        "at_start": verdict and verdict["verdict"],
        "why": why(first, last, verdict, ended(*(results[name] for name in ("n", "stuck", "diverged")))),
    }


def _median(gradients: DataFrame, param: str) -> float:
    return float(np.median(numbers_of(gradients[gradients["param"] == param], "grad_norm")))


def _compared(tables: Tables, label: str, lr: float | str, metric: str) -> dict[str, object]:
    if split_label(label)[0] == tables.rules.baseline:
        return {"verdict": "baseline"}
    table = tables.comparisons
    is_it = (table["label_a"] == label) & (table["lr"] == lr) & (table["metric"] == metric)
    against = table["label_b"].map(lambda other: split_label(other)[0] == tables.rules.baseline)
    found = table[is_it & against.astype(bool)].to_dict("records")
    return {ours: found[0][theirs] for ours, theirs in COMPARED.items()} if found else {"verdict": ""}


def _learning(table: DataFrame, label: str, lr: float) -> dict[str, object]:
    found = table[(table["label"] == label) & (table["lr"] == lr)].to_dict("records")
    return {name: found[0][name] for name in ("steps_to_target", "loss_area")} if found else {}


def median_curve(run: RunFrames, label: str, lr: float) -> list[float]:
    """The loss of the training batch by step, the median over the trials that did not diverge (over all, if none)."""
    mine = run.curves[(run.curves["label"] == label) & (run.curves["lr"] == lr) & (run.curves["split"] == "train")]
    lost = run.trials.loc[run.trials["status"] == "diverged", "trial"]
    alive = mine[~mine["trial"].isin(lost)]
    loss = pd.Series(numbers_of(alive if len(alive) else mine, "loss"), dtype=float)
    steps = (alive if len(alive) else mine)["step"].reset_index(drop=True)
    return [float(value) for value in loss.groupby(steps).median().dropna()]
