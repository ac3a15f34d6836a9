"""Labels compared in pairs, paired by seed: differences with intervals, exact tests, verdicts.

n pairs (seeds that both finished).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from pandas import DataFrame

from winit_cli.stats.frames import (
    Floats,
    Group,
    at_selected,
    by_variant,
    groups,
    measured,
    numbers_of,
    sign_of,
    split_label,
)
from winit_cli.stats.intervals import mean, mean_interval, sd, wilson_interval
from winit_cli.stats.power import seeds_needed, seeds_needed_by_signs
from winit_cli.stats.tests import SIGNIFICANT, holm, sign_flip_p, sign_test_p

COLUMNS = (  # of comparisons.csv
    *("label_a", "label_b", "lr", "metric", "n", "difference", "ci_low", "ci_high", "p", "p_holm"),
    *("probability_of_improvement", "verdict"),
)
MORE = ("poi_low", "poi_high", "seeds_needed", "family")
MARGIN = 0.01  # of accuracies; losses have no scale of their own


@dataclass(frozen=True)
class Rules:
    """What is compared, and how: every label with the ``baseline`` or ``all`` pairs; differences within the margin of
    a metric are a tie; ``selected`` holds the learning rate of each label where rates were selected."""

    baseline: str
    family: Literal["baseline", "all"] = "baseline"
    margins: Mapping[str, float] = field(default_factory=lambda: {"final_test_accuracy": MARGIN})
    selected: Mapping[str, float] = field(default_factory=dict)


def comparisons(trials: DataFrame, labels: Sequence[str], rules: Rules) -> DataFrame:
    """The table comparisons.csv: every label a against the baseline b at each learning rate, or all pairs.

    ``difference`` is the mean of a - b over the seeds with its 95 % Student-t interval, ``p`` that of the exact
    two-sided sign-flip permutation test, ``p_holm`` corrected over a family: all rows of the same metric and variant,
    those at selected learning rates apart from those at fixed ones. Where a trial of a pair diverged, the difference is
    blank and the test is the sign test, which the diverged one loses. ``probability_of_improvement`` is the share of
    seeds at which a does better, a tie counting half, with Wilson's interval. ``verdict`` is said of a: tied where all
    pairs are equal or the interval lies within the tie margin, better or worse where p_holm < 0.05, else undecided, and
    then ``seeds_needed`` would probably decide it.
    """
    rows: list[dict[str, object]] = []
    for metric in measured(trials):
        for rivals in by_variant(labels).values():
            for there in (at_selected(trials, rivals, rules.selected), list(groups(trials, rivals))):
                rows += _family(there, metric, rules)
    return DataFrame(rows, columns=[*COLUMNS, *MORE])


def family_size(labels: int, rates: int, family: str) -> int:
    """How many comparisons one metric has among the labels of one variant."""
    return rates * (labels * (labels - 1) // 2 if family == "all" else labels - 1)


@dataclass(frozen=True)
class _Pair:
    """A row but for what depends on the family: its p, how far a is ahead of b, and where the difference may lie."""

    row: dict[str, object]
    p: float
    ahead: float
    is_tied: bool
    differences: Floats
    wins: int
    losses: int


def _family(there: Sequence[Group], metric: str, rules: Rules) -> Iterator[dict[str, object]]:
    margin = rules.margins.get(metric, 0.0)
    pairs = [_pair(a, b, metric, margin) for a, b in _couples(there, rules)]
    for pair, corrected in zip(pairs, holm([pair.p for pair in pairs]), strict=True):
        verdict = _verdict(pair, float(corrected))
        needed = _needed(pair, margin, len(pairs)) if verdict == "undecided" else math.nan
        yield pair.row | {
            "p_holm": float(corrected),
            "verdict": verdict,
            "seeds_needed": needed,
            "family": len(pairs),
        }


def _couples(there: Sequence[Group], rules: Rules) -> Iterator[tuple[Group, Group]]:
    """Pairs at equal rates; the baseline is always the second."""
    for a, b in itertools.combinations(there, 2):
        first, second = (split_label(group[0])[0] == rules.baseline for group in (a, b))
        if a[1] == b[1] and (first or second or rules.family == "all"):
            yield (b, a) if first else (a, b)


def _pair(a: Group, b: Group, metric: str, margin: float) -> _Pair:
    seeds = sorted(set(a[2]["seed"]) & set(b[2]["seed"]))
    x, y = (numbers_of(frame.set_index("seed").loc[seeds], metric) for _, _, frame in (a, b))
    sign = sign_of(metric)
    wins, losses = _wins(sign * x, sign * y), _wins(sign * y, sign * x)
    if np.isnan(x).any() or np.isnan(y).any():
        p, ahead = sign_test_p(wins, losses), float(wins - losses)
        difference, low, high = math.nan, math.nan, math.nan
    else:
        p, difference = sign_flip_p(x - y), mean(x - y)
        (low, high), ahead = mean_interval(x - y), sign * difference
    share = wins + (len(seeds) - wins - losses) / 2
    poi_low, poi_high = wilson_interval(share, len(seeds))
    row: dict[str, object] = {
        "label_a": a[0],
        "label_b": b[0],
        "lr": a[1],
        "metric": metric,
        "n": len(seeds),
        "difference": difference,
        "ci_low": low,
        "ci_high": high,
        "p": p,
        "probability_of_improvement": share / len(seeds) if seeds else math.nan,
        "poi_low": poi_low,
        "poi_high": poi_high,
    }
    is_tied = bool(seeds) and (wins == losses == 0 or (-margin <= low and high <= margin))
    return _Pair(row, p, ahead, is_tied, x - y, wins, losses)


def _wins(better: Floats, worse: Floats) -> int:
    """How often the first is larger; a diverged one (NaN) is less than all but another."""
    first, second = (np.where(np.isnan(values), -np.inf, values) for values in (better, worse))
    return int((first > second).sum())


def _verdict(pair: _Pair, corrected: float) -> str:
    if pair.is_tied:
        return "tied"
    if corrected >= SIGNIFICANT or pair.ahead == 0:
        return "undecided"
    return "better" if pair.ahead > 0 else "worse"


def _needed(pair: _Pair, margin: float, family: int) -> float:
    if np.isnan(pair.differences).any():
        return seeds_needed_by_signs(pair.wins, pair.losses, family)
    return seeds_needed(mean(pair.differences), sd(pair.differences), margin, family)
