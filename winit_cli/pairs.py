"""Every label against the baseline, paired by seed: differences with intervals, exact tests, verdicts.

n pairs (seeds that both finished).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pandas import DataFrame
from scipy import stats as scipy_stats

from winit_cli.stats import METRICS, groups, mean_interval, numbers_of, split_label

COLUMNS = (
    *("label_a", "label_b", "lr", "metric", "n", "difference", "ci_low", "ci_high", "p", "p_holm"),
    *("probability_of_improvement", "verdict"),
)
EXACT_PAIRS = 16  # up to 2^16 sign patterns are enumerated
DRAWS = 100_000  # of sign patterns beyond that
SIGNIFICANT = 0.05
Floats = NDArray[np.float64]


def comparisons(trials: DataFrame, labels: Sequence[str], baseline: str) -> DataFrame:
    """The table comparisons.csv: at each learning rate every label a against the baseline b.

    ``difference`` is the mean of a - b over the seeds with its 95 % Student-t interval, ``p`` that of the exact
    two-sided sign-flip permutation test (Fisher 1935), ``p_holm`` corrected (Holm 1979) over all rows of the same
    metric and variant. Where a trial of a pair diverged, the difference is blank and the test is the sign test, which
    the diverged one loses. ``verdict`` is said of a: better or worse where p_holm < 0.05, tied where all pairs are
    equal, else undecided. With ``vary:`` labels are compared with the baseline of their own variant.
    """
    rows = [row for metric in METRICS for row in _of_metric(trials, labels, baseline, metric)]
    return DataFrame(rows, columns=list(COLUMNS))


def sign_flip_p(differences: ArrayLike) -> float:
    """Two-sided p of the hypothesis that differences (n,) are symmetric around 0: the share of all 2^n sign patterns
    whose mean is as far from 0. Beyond 16 pairs from 100,000 seeded draws, the observed pattern counted in.
    """
    d = np.asarray(differences, dtype=np.float64)
    if not len(d):
        return 1.0  # a label of which nothing is finished
    if len(d) <= EXACT_PAIRS:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(d)))).reshape(-1, len(d))
        return float(_as_far(signs @ d, d).mean())
    signs = np.random.default_rng(0).choice((1.0, -1.0), size=(DRAWS, len(d)))
    return float((_as_far(signs @ d, d).sum() + 1) / (DRAWS + 1))


def holm(p: ArrayLike) -> Floats:
    """P-values corrected by Holm's step-down method (Holm 1979), in the given order."""
    given = np.asarray(p, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    stepped = np.minimum(np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)), 1.0)
    corrected = np.empty_like(stepped)
    corrected[order] = stepped
    return corrected


def _as_far(sums: Floats, d: Floats) -> NDArray[np.bool_]:
    """Whether sums are as far from 0 as the observed one; rounding must not make equal ones differ."""
    tolerance = 1e-12 * float(np.abs(d).sum())
    return np.asarray(np.abs(sums) >= abs(float(d.sum())) - tolerance)


@dataclass(frozen=True)
class _Pair:
    """A row but for what depends on the family: its p, how far a is ahead of b, whether all pairs are equal."""

    row: dict[str, object]
    p: float
    ahead: float
    equal: bool


def _of_metric(trials: DataFrame, labels: Sequence[str], baseline: str, metric: str) -> Iterator[dict[str, object]]:
    """Rows of one metric, the family of the correction; none where it was not measured."""
    if not np.isfinite(numbers_of(trials, metric)).any():
        return
    for variant in dict.fromkeys(split_label(label)[1] for label in labels):
        there = list(groups(trials, [label for label in labels if split_label(label)[1] == variant]))
        reference = {lr: (label, group) for label, lr, group in there if split_label(label)[0] == baseline}
        pairs = [
            _pair((label, group), reference[lr], lr, metric)
            for label, lr, group in there
            if split_label(label)[0] != baseline and lr in reference
        ]
        for pair, corrected in zip(pairs, holm([pair.p for pair in pairs]), strict=True):
            yield pair.row | {"p_holm": float(corrected), "verdict": _verdict(pair, float(corrected))}


def _pair(a: tuple[str, DataFrame], b: tuple[str, DataFrame], lr: float, metric: str) -> _Pair:
    seeds = sorted(set(a[1]["seed"]) & set(b[1]["seed"]))
    x, y = (numbers_of(frame.set_index("seed").loc[seeds], metric) for _, frame in (a, b))
    sign = 1.0 if metric.endswith("accuracy") else -1.0
    wins, losses = _wins(sign * x, sign * y), _wins(sign * y, sign * x)
    if np.isnan(x).any() or np.isnan(y).any():
        p = float(scipy_stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
        difference, low, high, ahead = math.nan, math.nan, math.nan, float(wins - losses)
    else:
        p, difference = sign_flip_p(x - y), math.fsum(x - y) / max(1, len(seeds))
        (low, high), ahead = mean_interval(x - y), sign * difference
    row: dict[str, object] = {
        "label_a": a[0],
        "label_b": b[0],
        "lr": lr,
        "metric": metric,
        "n": len(seeds),
        "difference": difference if seeds else math.nan,
        "ci_low": low,
        "ci_high": high,
        "p": p,
        "probability_of_improvement": 0.5 + (wins - losses) / (2 * len(seeds)) if seeds else math.nan,
    }
    return _Pair(row, p, ahead, equal=bool(seeds) and wins == losses == 0)


def _wins(better: Floats, worse: Floats) -> int:
    """How often the first is larger; a diverged one (NaN) is less than all but another."""
    first, second = (np.where(np.isnan(values), -np.inf, values) for values in (better, worse))
    return int((first > second).sum())


def _verdict(pair: _Pair, corrected: float) -> str:
    if pair.equal:
        return "tied"
    if corrected >= SIGNIFICANT or pair.ahead == 0:
        return "undecided"
    return "better" if pair.ahead > 0 else "worse"
