"""Who ranks where, and within which places the seeds leave it.

R labels and learning rates that are compared, S seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame
from scipy import stats as scipy_stats

from winit_cli.stats.frames import Floats, by_seed, families, measured, numbers_of, sign_of
from winit_cli.stats.intervals import mean
from winit_cli.stats.power import seeds_for_a_verdict
from winit_cli.stats.tests import SIGNIFICANT, holm

# With fewer seeds equal accuracies, or some seeds that learn and some that do not, make spreads of 0 by chance, which a
# t-test takes for certainty: among 9 equal labels it then finds a difference in most runs of 2 or 3 seeds.
FEWEST = seeds_for_a_verdict(1)
COLUMNS = ("label", "lr", "metric", "rank", "rank_low", "rank_high", "of")


@dataclass(frozen=True)
class Place:
    """``2 (1-3 of 9)``; ``key`` is what it is sorted by, low is good, and ``beats`` holds the positions of the rivals
    that are worse beyond chance."""

    rank: int
    low: int
    high: int
    of: int
    key: tuple[float, float]
    beats: tuple[int, ...]


def ranks(trials: DataFrame, labels: Sequence[str], selected: Mapping[str, float] = MappingProxyType({})) -> DataFrame:
    """The table ranks.csv: for every metric the place of each label and learning rate among those of its variant, and
    where rates were selected before them the place of each label at its selected one."""
    rows, everything = [], families(trials, labels, selected)
    for metric in measured(trials):
        for there in everything:
            found = places([group for _, _, group in there], metric)
            rows += [(a, lr, metric, p.rank, p.low, p.high, p.of) for (a, lr, _), p in zip(there, found, strict=True)]
    return DataFrame(rows, columns=list(COLUMNS))


def places(compared: Sequence[DataFrame], metric: str) -> list[Place]:
    """Places of groups of trials by their mean, the best first.

    A diverged trial is never dropped: it counts as the worst value seen in the comparison. Dropping
    it would let a scheme that fails on nine seeds of ten win with the tenth. Equal scores go to the
    group with fewer diverged trials; groups equal in both share a rank. The interval of a rank leaves out the places of
    rivals that are better, and of those that are worse, by paired t-tests of six seeds or more at 0.05 after
    Holm's correction over all pairs. All intervals hold at once with 95 % confidence (Mogstad, Romano, Shaikh and
    Wilhelm 2024), so that what is said of the first place allows for its having been picked.
    """
    losses = [-sign_of(metric) * numbers_of(group, metric) for group in compared]
    seen = [values[np.isfinite(values)] for values in losses]
    worst = max((float(values.max()) for values in seen if len(values)), default=math.inf)
    filled = [np.where(np.isnan(values), worst, values) for values in losses]
    keys = [_key(values, lost) for values, lost in zip(filled, losses, strict=True)]
    matrix, there = by_seed(compared, filled)
    ahead = _ahead(matrix, there & np.isfinite(matrix))
    found = []
    for j, key in enumerate(keys):
        rank = 1 + sum(other < key for other in keys)
        beats = tuple(int(i) for i in np.flatnonzero(ahead[j]))
        low, high = 1 + int(ahead[:, j].sum()), len(keys) - len(beats)
        found.append(Place(rank, min(rank, low), max(rank, high), len(keys), key, beats))
    return found


def _key(filled: Floats, losses: Floats) -> tuple[float, float]:
    # equal accuracies summed in another order differ in the last bits, which must not decide a rank
    return (float(f"{mean(filled):.12g}"), float(np.isnan(losses).mean())) if len(losses) else (math.inf, math.inf)


def _ahead(matrix: Floats, there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether row i is better than row j beyond chance (R, R)."""
    first, second = np.triu_indices(len(matrix), 1)
    both = there[first] & there[second]
    d = np.where(both, matrix[first], 0.0) - np.where(both, matrix[second], 0.0)
    clear, lean = holm(_t_p(d, both.sum(axis=1))) < SIGNIFICANT, d.sum(axis=1)
    found = np.zeros((len(matrix), len(matrix)), dtype=bool)
    found[first, second], found[second, first] = clear & (lean < 0), clear & (lean > 0)
    return found


def _t_p(d: Floats, n: NDArray[np.int64]) -> Floats:
    """Two-sided p of paired t-tests, 1 below FEWEST pairs; ``d`` (pairs, S) is 0 where a pair is missing."""
    total, squares = d.sum(axis=1), (d**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.maximum(squares - total**2 / n, 0.0) / (n - 1)
        p = 2 * scipy_stats.t.sf(np.abs(total) / np.sqrt(n * variance), n - 1)
    alike = variance <= 1e-24 * squares  # equal differences, but for rounding
    return np.where(n < FEWEST, 1.0, np.where(alike, squares == 0, p))
