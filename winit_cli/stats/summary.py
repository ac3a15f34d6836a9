"""The summary of every label: moments over seeds with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from pandas import DataFrame

from winit_cli.stats.frames import ALWAYS, METRICS, Floats, groups, measured, numbers_of
from winit_cli.stats.intervals import iqm, iqm_interval, mean, mean_interval, sd, wilson_interval

MOMENTS = ("n", "diverged", "mean", "median", "iqm", "sd", "ci_low", "ci_high")
COLUMNS = ("label", "lr", "metric", *MOMENTS)  # of summary.csv
MORE = ("iqm_low", "iqm_high", "divergence_low", "divergence_high")


def summarize(trials: DataFrame, labels: Sequence[str]) -> DataFrame:
    """The table summary.csv: one row per label, learning rate and metric.

    ``n`` counts finished trials, ``diverged`` those of them without a value; the moments are over
    the survivors and blank when there are none. Validation loss and accuracy appear where measured.
    Beside the columns of the file stand a bootstrap interval of the interquartile mean and the Wilson
    interval of the share of trials that diverged.
    """
    shown = {*ALWAYS, *measured(trials)}
    rows = [
        {"label": label, "lr": lr, "metric": metric, **_statistics(group, numbers_of(group, metric))}
        for label, lr, group in groups(trials, labels)
        for metric in METRICS
        if metric in shown
    ]
    return DataFrame(rows, columns=[*COLUMNS, *MORE])


def moments(values: Floats) -> dict[str, float]:
    """MOMENTS of values over seeds; NaN stands for a trial that diverged."""
    alive = survivors(values)
    median = float(np.median(alive)) if len(alive) else math.nan
    spread = (mean(alive), median, iqm(alive), sd(alive), *mean_interval(alive))
    return dict(zip(MOMENTS, (len(values), len(values) - len(alive), *spread), strict=True))


def survivors(values: Floats) -> Floats:
    """The values that are there."""
    return values[np.isfinite(values)]


def _statistics(group: DataFrame, values: Floats) -> dict[str, float]:
    diverged = int((group["status"] == "diverged").sum())
    ends = (*iqm_interval(survivors(values)), *wilson_interval(diverged, len(group)))
    return moments(values) | dict(zip(MORE, ends, strict=True))
