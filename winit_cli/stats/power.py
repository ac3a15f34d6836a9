"""How many seeds a verdict takes: before training, and after an undecided one."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats as scipy_stats

from winit_cli.stats.tests import SIGNIFICANT

POWER = 0.8  # what "would probably decide it" means
MOST_SEEDS = 1_000
_SEEDS = np.arange(2, MOST_SEEDS + 1)


def smallest_p(seeds: int, family: int) -> float:
    """The smallest p that an exact two-sided test can give after Holm's correction: family · 2 / 2^seeds, at most 1."""
    return min(1.0, family * 2.0 ** (1 - seeds))


def seeds_for_a_verdict(family: int) -> int:
    """The fewest seeds with which the smallest p of a family lies below 0.05; 9 for a family of 9."""
    return next(seeds for seeds in range(1, 200) if smallest_p(seeds, family) < SIGNIFICANT)


def seeds_needed(difference: float, sd: float, margin: float, family: int) -> float:
    """Seeds that would decide a comparison with probability 0.8 if the difference and the sd of the paired differences
    are what they seem: by a t-test at level 0.05 / family (normal approximation of its power), or by an interval that
    fits into ±margin, whichever comes first. Infinity beyond 1,000.
    """
    if not (math.isfinite(difference) and math.isfinite(sd)):
        return math.inf
    fewest, size = seeds_for_a_verdict(family), abs(difference)
    if sd == 0:
        return float(fewest) if size else math.inf
    root, degrees = np.sqrt(_SEEDS), _SEEDS - 1
    critical = scipy_stats.t.isf(SIGNIFICANT / (2 * family), degrees)
    differs = (scipy_stats.norm.cdf(size / sd * root - critical) >= POWER) & (fewest <= _SEEDS)
    fits = scipy_stats.t.isf(SIGNIFICANT / 2, degrees) * sd / root <= margin - size
    return _first(differs | fits)


def seeds_needed_by_signs(wins: int, losses: int, family: int) -> float:
    """The same for the sign test, if seeds go on to be won and lost in these shares."""
    if wins == losses:
        return math.inf
    share = max(wins, losses) / (wins + losses)
    critical = scipy_stats.binom.isf(SIGNIFICANT / (2 * family), _SEEDS, 0.5) + 1
    return _first((critical <= _SEEDS) & (scipy_stats.binom.sf(critical - 1, _SEEDS, share) >= POWER))


def _first(decides: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    return float(_SEEDS[int(np.argmax(decides))]) if decides.any() else math.inf
