"""The best learning rate of every label, and how far around it results stay good."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pandas import DataFrame

from winit_cli.stats.frames import groups, numbers_of
from winit_cli.stats.intervals import mean, mean_interval
from winit_cli.stats.ranks import places
from winit_cli.stats.summary import survivors

COLUMNS = ("label", "metric", "chosen_on", "lr", "n", "diverged", "mean", "ci_low", "ci_high", "decades")
WITHIN = 0.10  # of the best value, which counts as nearly as good


def best_rates(trials: DataFrame, labels: Sequence[str], metric: str, *, chosen_on: str) -> DataFrame:
    """The table best_lr.csv: for every label the learning rate with the best mean of a metric over these trials.

    A diverged trial counts as the worst value seen at any rate of the label. ``chosen_on`` says which seeds the trials
    have. ``decades`` is the span of the neighbouring rates of the grid around the best one, in powers of ten, whose
    mean stays within 10 % of the best without a trial that diverged; 0 if none does.
    """
    rows = []
    for label in labels:
        grid = [(lr, group) for _, lr, group in groups(trials, [label]) if len(group)]
        if grid:
            keys = [place.key for place in places([group for _, group in grid], metric)]
            best = keys.index(min(keys))
            values = numbers_of(grid[best][1], metric)
            alive = survivors(values)
            lost = len(values) - len(alive)
            average = mean(alive)
            span = _decades([lr for lr, _ in grid], keys, best, metric)
            row = (label, metric, chosen_on, grid[best][0], len(values), lost, average, *mean_interval(alive), span)
            rows.append(row)
    return DataFrame(rows, columns=list(COLUMNS))


def _decades(rates: Sequence[float], keys: Sequence[tuple[float, float]], best: int, metric: str) -> float:
    """Span of the rates around the best that are nearly as good, walking outward until one is not."""
    order = sorted(range(len(rates)), key=rates.__getitem__)
    at = order.index(best)
    limit = keys[best][0] + WITHIN * abs(keys[best][0])
    good = [keys[place][0] <= limit and keys[place][1] == 0 for place in order]
    low = high = at
    while low > 0 and good[low - 1]:
        low -= 1
    while high + 1 < len(order) and good[high + 1]:
        high += 1
    return math.log10(rates[order[high]] / rates[order[low]])
