"""How fast trials learn: steps to a target, and the area under the loss curve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from pandas import DataFrame, Series

from winit_cli.stats.frames import by_variant, groups, headline, numbers_of, sign_of, split_label
from winit_cli.stats.intervals import mean, mean_interval
from winit_cli.stats.ranks import places
from winit_cli.stats.summary import survivors

COLUMNS = ("label", "lr", "target", "n", "reached", "steps_to_target", "loss_area", "area_low", "area_high")


def learning(trials: DataFrame, labels: Sequence[str]) -> DataFrame:
    """The table learning.csv, from trials with the columns of :func:`with_learning`.

    ``steps_to_target`` is the median over the seeds, infinite where half of them miss the target; ``reached`` counts
    those that do not. ``loss_area`` is a mean over the survivors with its 95 % Student-t interval.
    """
    rows = []
    for label, lr, group in groups(trials, labels):
        steps = group["steps_to_target"].to_numpy(dtype=np.float64)
        area = survivors(numbers_of(group, "loss_area"))
        target = float(group["target"].iloc[0]) if len(group) else math.nan
        reached = int(np.isfinite(steps).sum())
        rows.append((label, lr, target, len(group), reached, _median(steps), mean(area), *mean_interval(area)))
    return DataFrame(rows, columns=list(COLUMNS))


def with_learning(trials: DataFrame, curves: DataFrame, targets: Mapping[str, float], task: str) -> DataFrame:
    """Trials with three more columns.

    ``target`` is that of the trial's variant. ``steps_to_target`` is the first measured step at which the test part
    reaches it, infinite where none does, NaN without a target. ``loss_area`` is the area under the loss of the training
    batch by the trapezoidal rule, in loss × steps, infinite for a trial that diverged.
    """
    target = trials["label"].map(lambda label: targets.get(split_label(label)[1], math.nan)).astype(float)
    found = trials.assign(target=target, steps_to_target=math.nan, loss_area=math.nan)
    area = _areas(curves[curves["split"] == "train"])
    found["loss_area"] = found["trial"].map(area).astype(float).where(found["status"] != "diverged", math.inf)
    steps = _first_steps(curves[curves["split"] == "test"], dict(zip(found["trial"], target, strict=True)), task)
    reached = found["trial"].map(steps).astype(float).fillna(math.inf)
    found["steps_to_target"] = reached.where(target.notna() & found["status"].isin(("ok", "diverged")))
    return found


def derived_targets(trials: DataFrame, labels: Sequence[str], baseline: str, task: str) -> dict[str, float]:
    """For each variant the median that the baseline reaches at the end (at its best learning rate): test accuracy, or
    test loss for regression. A variant whose baseline is stuck or diverged in half of its trials has none."""
    metric, found = headline(task), {}
    for variant, rivals in by_variant(labels).items():
        own = [group for label, _, group in groups(trials, rivals) if split_label(label)[0] == baseline]
        if own:
            _, best = min(zip(places(own, metric), own, strict=True), key=lambda pair: pair[0].key)
            values = numbers_of(best, metric)
            if len(best) and ((best["outcome"] == "learned") & np.isfinite(values)).mean() > 0.5:
                found[variant] = float(np.median(survivors(values)))
    return found


def _median(steps: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Of steps with infinities; the upper of two middle values, since none lies between a number and infinity."""
    return float(np.sort(steps)[len(steps) // 2]) if len(steps) and not np.isnan(steps).any() else math.nan


def _areas(curves: DataFrame) -> Series[float]:
    loss = pd.Series(numbers_of(curves, "loss"), index=curves.index)
    trial = curves["trial"]
    width = curves["step"].diff().where(trial == trial.shift())
    strips = width * (loss + loss.shift()) / 2
    return strips.groupby(trial, sort=False).sum(min_count=1)


def _first_steps(curves: DataFrame, targets: Mapping[str, float], task: str) -> Series[float]:
    metric = headline(task)
    values = numbers_of(curves, metric.removeprefix("final_test_"))
    goal = curves["trial"].map(targets).to_numpy(dtype=np.float64)
    hits = curves[sign_of(metric) * (values - goal) >= 0]
    return hits.groupby("trial", sort=False)["step"].min()
