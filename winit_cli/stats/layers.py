"""Means over seeds of what was measured layer by layer, and how sizes go with the width."""

from __future__ import annotations

import math

import numpy as np
from pandas import DataFrame, factorize

from winit_cli.stats.frames import Floats, numbers_of
from winit_cli.stats.intervals import t_quantile

MEANS = ("n", "mean", "ci_low", "ci_high")


def layer_means(rows: DataFrame) -> DataFrame:
    """``probe.csv`` over the seeds: label, layer, depth, metric, and ``n``, ``mean``, ``ci_low``, ``ci_high``.

    ``n`` counts the seeds with a finite value, the others are left out; the interval is Student's at 95 %, NaN below
    two values. Labels, layers and metrics stand in the order of their first rows.
    """
    keys = ["label", "layer", "depth", "metric"]
    places = rows[keys].drop_duplicates(ignore_index=True)
    seeds, known = factorize(rows["seed"], use_na_sentinel=False)
    values = np.full((len(places), len(known)), math.nan)
    values[rows.groupby(keys, sort=False).ngroup().to_numpy(), seeds] = numbers_of(rows, "value")
    return places.assign(**dict(zip(MEANS, _means(values), strict=True)))


def _means(values: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """MEANS of each row of (R, S), NaN where a seed has no value; equal values have exactly their own mean."""
    there = np.isfinite(values)
    n = there.sum(axis=1)
    count, spare = np.where(n, n, math.nan), np.where(n > 1, n - 1, math.nan)
    least, most = (
        find(np.where(there, values, far), axis=1) for find, far in ((np.min, math.inf), (np.max, -math.inf))
    )
    mean = np.where(least == most, least, np.where(there, values, 0).sum(axis=1) / count)
    with np.errstate(over="ignore", invalid="ignore"):
        deviations = np.where(there, values - mean[:, None], 0)
        half = _quantiles(values.shape[1])[n] * np.sqrt((deviations**2).sum(axis=1) / spare / count)
        return n, mean, mean - half, mean + half


def _quantiles(most: int) -> Floats:
    """Student's quantile for 0, 1, … ``most`` values."""
    return np.array([math.nan, math.nan, *map(t_quantile, range(2, most + 1))])


def width_slopes(rows: DataFrame) -> DataFrame:
    """Of ``coordinate.csv``: label, step, layer, depth and ``slope``, the exponent a of ``size ~ width^a``.

    A least-squares line through the logarithms of all seeds and widths; NaN where fewer than two widths have a size
    that is finite and above 0, infinite where some width has grown beyond all numbers.
    """
    keys = ["label", "step", "layer", "depth"]
    found = [(*key, _slope(group)) for key, group in rows.groupby(keys, sort=False)]
    return DataFrame(found, columns=[*keys, "slope"])


def _slope(group: DataFrame) -> float:
    widths, sizes = np.asarray(group["width"], float), np.asarray(group["value"], float)
    if not np.isfinite(sizes).all():
        return math.inf
    there = sizes > 0
    if len(np.unique(widths[there])) < 2:
        return math.nan
    return _line(np.log(widths[there]), np.log(sizes[there]))


def _line(x: Floats, y: Floats) -> float:
    x = x - x.mean()
    return float(x @ y / (x @ x))
