"""Labels compared in pairs, paired by seed: differences with intervals, exact tests, verdicts.

n pairs (seeds that both finished).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from pandas import DataFrame

from winit_cli.stats.frames import Floats, Group, by_seed, families, measured, numbers_of, sign_of, split_label
from winit_cli.stats.intervals import mean, mean_interval, sd, wilson_interval
from winit_cli.stats.power import seeds_needed, seeds_needed_by_signs
from winit_cli.stats.tests import SIGNIFICANT, holm, sign_flip_ps, sign_test_p

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
    everything = families(trials, labels, rules.selected)
    for metric in measured(trials):
        for there in everything:
            rows += _family(there, metric, rules)
    return DataFrame(rows, columns=[*COLUMNS, *MORE])


def family_size(labels: int, rates: int, family: str) -> int:
    """How many comparisons one metric has among the labels of one variant."""
    return rates * (labels * (labels - 1) // 2 if family == "all" else labels - 1)


@dataclass(frozen=True)
class _Pair:
    """Two labels at the seeds (n,) that both finished; values x and y are NaN where a trial diverged."""

    a: Group
    b: Group
    x: Floats
    y: Floats
    wins: int
    losses: int

    @cached_property
    def differences(self) -> Floats:
        return self.x - self.y

    @cached_property
    def is_whole(self) -> bool:
        """Whether no trial diverged."""
        return not np.isnan(self.differences).any()


def _family(there: Sequence[Group], metric: str, rules: Rules) -> Iterator[dict[str, object]]:
    margin, sign = rules.margins.get(metric, 0.0), sign_of(metric)
    pairs = list(_pairs(there, metric, rules))
    flips = iter(sign_flip_ps([pair.differences for pair in pairs if pair.is_whole]))
    p = [float(next(flips)) if pair.is_whole else sign_test_p(pair.wins, pair.losses) for pair in pairs]
    for pair, raw, corrected in zip(pairs, p, holm(p), strict=True):
        difference = mean(pair.differences) if pair.is_whole else math.nan
        low, high = mean_interval(pair.differences) if pair.is_whole else (math.nan, math.nan)
        ahead = sign * difference if pair.is_whole else pair.wins - pair.losses
        is_tied = _is_equal(pair) or (-margin <= low and high <= margin)
        verdict = "tied" if is_tied else _verdict(ahead, float(corrected))
        yield {
            "label_a": pair.a[0],
            "label_b": pair.b[0],
            "lr": pair.a[1],
            "metric": metric,
            "difference": difference,
            "ci_low": low,
            "ci_high": high,
            "p": raw,
            "p_holm": float(corrected),
            **_improvement(pair),
            "verdict": verdict,
            "seeds_needed": _needed(pair, margin, len(pairs)) if verdict == "undecided" else math.nan,
            "family": len(pairs),
        }


def _pairs(there: Sequence[Group], metric: str, rules: Rules) -> Iterator[_Pair]:
    frames = [frame for _, _, frame in there]
    values, finished = by_seed(frames, [numbers_of(frame, metric) for frame in frames])
    score = np.where(np.isnan(values), -np.inf, sign_of(metric) * values)  # a diverged one is ahead of none
    for i, j in _couples(there, rules):
        both = finished[i] & finished[j]
        one, other = score[i, both], score[j, both]
        wins, losses = int((one > other).sum()), int((other > one).sum())
        yield _Pair(there[i], there[j], values[i, both], values[j, both], wins, losses)


def _couples(there: Sequence[Group], rules: Rules) -> Iterator[tuple[int, int]]:
    """Positions of pairs at equal rates; the baseline is always the second."""
    is_base = [split_label(label)[0] == rules.baseline for label, _, _ in there]
    for i, j in itertools.combinations(range(len(there)), 2):
        if there[i][1] == there[j][1] and (is_base[i] or is_base[j] or rules.family == "all"):
            yield (j, i) if is_base[i] else (i, j)


def _improvement(pair: _Pair) -> dict[str, float]:
    n = len(pair.x)
    share = pair.wins + (n - pair.wins - pair.losses) / 2
    low, high = wilson_interval(share, n)
    return {"n": n, "probability_of_improvement": share / n if n else math.nan, "poi_low": low, "poi_high": high}


def _is_equal(pair: _Pair) -> bool:
    return len(pair.x) > 1 and pair.wins == pair.losses == 0


def _verdict(ahead: float, corrected: float) -> str:
    if corrected >= SIGNIFICANT or ahead == 0:
        return "undecided"
    return "better" if ahead > 0 else "worse"


def _needed(pair: _Pair, margin: float, family: int) -> float:
    """More than there are, since these have left it undecided; NaN if nobody knows."""
    n = len(pair.x)
    if pair.is_whole:
        needed = seeds_needed(mean(pair.differences), sd(pair.differences), margin, family)
    else:
        needed = seeds_needed_by_signs(pair.wins, pair.losses, family, n - pair.wins - pair.losses)
    return float(np.maximum(needed, n + 1))
