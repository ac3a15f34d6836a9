"""How many seeds a verdict takes: before training, and after an undecided one."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import stats as scipy_stats
from scipy.special import ndtr

from winit_cli.stats.frames import Floats
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
    are what they seem: by the sign-flip test at level 0.05 / family, or by an interval that fits into ±margin,
    whichever comes first. Infinity beyond 1,000, NaN where there are too few seeds for a guess.

    With δ = difference / sd the power of the first is about that of a t-test, Φ(δ√n - t(1 - level / 2)), and no more
    than what :func:`_by_few_patterns` says; of the second, Φ((margin - |difference|)√n / sd - t(0.975)) +
    Φ((margin + |difference|)√n / sd - t(0.975)) - 1 (Schuirmann 1987).
    """
    if not (math.isfinite(difference) and math.isfinite(sd)):
        return math.nan
    size = abs(difference)
    if sd == 0:
        return float(seeds_for_a_verdict(family)) if size else math.inf
    root, critical = np.sqrt(_SEEDS) / sd, _critical(SIGNIFICANT)
    differs = np.minimum(ndtr(size * root - _critical(SIGNIFICANT / family)), _by_few_patterns(size / sd, family))
    fits = ndtr((margin - size) * root - critical) + ndtr((margin + size) * root - critical) - 1
    return _first((differs >= POWER) | (fits >= POWER))


def seeds_needed_by_signs(wins: int, losses: int, family: int, ties: int = 0) -> float:
    """The same for the sign test, if seeds go on to be won, lost and tied in these shares."""
    if wins == losses:
        return math.inf
    share = max(wins, losses) / (wins + losses)
    wins_for_it = _critical_wins(SIGNIFICANT / family)
    decided = _first(scipy_stats.binom.sf(wins_for_it - 1, _SEEDS, share) >= POWER)
    needed = decided * (1 + ties / (wins + losses))
    return math.ceil(needed) if needed <= MOST_SEEDS else math.inf


@lru_cache(maxsize=64)
def _critical_wins(level: float) -> Floats:
    """The fewest wins of a significant two-sided sign test for each number of seeds, more than all where none is."""
    return np.asarray(scipy_stats.binom.isf(level / 2, _SEEDS, 0.5) + 1, dtype=np.float64)


@lru_cache(maxsize=64)
def _critical(level: float) -> Floats:
    """The two-sided critical values of t for each number of seeds."""
    return np.asarray(scipy_stats.t.isf(level / 2, _SEEDS - 1), dtype=np.float64)


def _by_few_patterns(effect: float, family: int) -> Floats:
    """What the power of the sign-flip test is at most while hardly any patterns of signs are rare enough: none, only
    that of equal signs, or also that in which the smallest difference alone has the other one, as it has in about half
    of the cases with one other sign."""
    rare = np.floor(np.minimum(2.0 ** (_SEEDS - 1) * SIGNIFICANT / family, 3))
    equal = ndtr(effect) ** _SEEDS
    one = _SEEDS * ndtr(effect) ** (_SEEDS - 1) * ndtr(-effect)
    return np.choose(rare.astype(int), [np.zeros_like(equal), equal, equal + one / 2, np.ones_like(equal)])


def _first(decides: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    return float(_SEEDS[int(np.argmax(decides))]) if decides.any() else math.inf
