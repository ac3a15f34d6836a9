"""Exact tests of paired differences, and the correction for many of them.

n pairs (seeds that both finished).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as scipy_stats

from winit_cli.stats.frames import Floats

Alternative = Literal["two-sided", "greater", "less"]
EXACT_PAIRS = 16  # up to 2^16 sign patterns are enumerated
DRAWS = 100_000  # of sign patterns beyond that
CELLS = 2_000_000  # of them at a time
SIGNIFICANT = 0.05


def sign_flip_p(differences: ArrayLike, alternative: Alternative = "two-sided") -> float:
    """P of the hypothesis that differences (n,) are symmetric around 0 (Fisher 1935): the share of all 2^n patterns of
    signs whose sum is at least as far from 0, or as far to the side of the alternative. Beyond 16 pairs from 100,000
    seeded draws, the observed pattern counted in.
    """
    d = np.asarray(differences, dtype=np.float64)
    if not len(d):
        return 1.0  # a label of which nothing is finished
    if alternative == "less":
        return sign_flip_p(-d, "greater")
    if len(d) <= EXACT_PAIRS:
        return float(_as_far(_patterns(len(d)) @ d, d, alternative).mean())
    hits = sum(int(_as_far(signs @ d, d, alternative).sum()) for signs in _drawn(len(d)))
    return (hits + 1) / (DRAWS + 1)


def sign_test_p(wins: int, losses: int, alternative: Alternative = "two-sided") -> float:
    """P of the exact sign test, in which ties have no say; ``greater`` is evidence for more wins."""
    decided = wins + losses
    return float(scipy_stats.binomtest(wins, decided, alternative=alternative).pvalue) if decided else 1.0


def holm(p: ArrayLike) -> Floats:
    """P-values corrected by Holm's step-down method (Holm 1979), in the given order."""
    given = np.asarray(p, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    stepped = np.minimum(np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)), 1.0)
    corrected = np.empty_like(stepped)
    corrected[order] = stepped
    return corrected


def _as_far(sums: Floats, d: Floats, alternative: Alternative) -> NDArray[np.bool_]:
    """Whether sums are as far as the observed one; rounding must not make equal ones differ."""
    tolerance, observed = 1e-12 * float(np.abs(d).sum()), float(d.sum())
    if alternative == "two-sided":
        return np.asarray(np.abs(sums) >= abs(observed) - tolerance)
    return np.asarray(sums >= observed - tolerance)


@lru_cache(maxsize=4)
def _patterns(n: int) -> Floats:
    """All 2^n patterns of signs, a row each."""
    return np.array(list(itertools.product((1.0, -1.0), repeat=n)))


def _drawn(n: int) -> Iterator[Floats]:
    """Seeded patterns of signs, some rows at a time."""
    source, left = np.random.default_rng(0), DRAWS
    while left:
        rows = min(left, max(1, CELLS // n))
        yield source.choice(np.array([1.0, -1.0]), size=(rows, n))
        left -= rows
