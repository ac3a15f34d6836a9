"""Exact tests of paired differences, and the correction for many of them.

n pairs (seeds that both finished).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as scipy_stats

from winit_cli.stats.frames import Floats

Alternative = Literal["two-sided", "greater", "less"]
EXACT_PAIRS = 16  # up to 2^16 sign patterns are enumerated
DRAWS = 100_000  # of sign patterns beyond that
PART = 4_096  # of them at a time
SIGNIFICANT = 0.05


def sign_flip_p(differences: ArrayLike, alternative: Alternative = "two-sided") -> float:
    """P of the hypothesis that differences (n,) are symmetric around 0 (Fisher 1935): the share of all 2^n patterns of
    signs whose sum is at least as far from 0, or as far to the side of the alternative. Beyond 16 pairs from 100,000
    seeded draws, the observed pattern counted in.
    """
    return float(sign_flip_ps([np.asarray(differences, dtype=np.float64)], alternative)[0])


def sign_flip_ps(rows: Sequence[Floats], alternative: Alternative = "two-sided") -> Floats:
    """The same for many rows of differences, those of equal length at once."""
    p = np.ones(len(rows))  # of a label of which nothing is finished
    for n in {len(row) for row in rows} - {0}:
        mine = [at for at, row in enumerate(rows) if len(row) == n]
        d = np.array([rows[at] for at in mine])
        p[mine] = _equally_long(-d if alternative == "less" else d, alternative)
    return p


def sign_test_p(wins: int, losses: int, alternative: Alternative = "two-sided") -> float:
    """P of the exact sign test, in which ties have no say; ``greater`` is evidence for more wins."""
    return share_p(wins, wins + losses, 0.5, alternative)


@lru_cache(maxsize=4_096)
def share_p(hits: int, n: int, share: float, alternative: Alternative = "two-sided") -> float:
    """P of the exact binomial test that a share of all seeds is hit; ``greater`` is evidence for more."""
    return float(scipy_stats.binomtest(hits, n, share, alternative=alternative).pvalue) if n else 1.0


def holm(p: ArrayLike) -> Floats:
    """P-values corrected by Holm's step-down method (Holm 1979), in the given order."""
    given = np.asarray(p, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    stepped = np.minimum(np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)), 1.0)
    corrected = np.empty_like(stepped)
    corrected[order] = stepped
    return corrected


def _equally_long(d: Floats, alternative: Alternative) -> Floats:
    """For differences (rows, n)."""
    exact, hits = d.shape[1] <= EXACT_PAIRS, np.zeros(len(d))
    for signs in _patterns(d.shape[1]) if exact else _drawn(d.shape[1]):
        hits += _as_far(signs @ d.T, d, alternative).sum(axis=0)
    return hits / 2.0 ** d.shape[1] if exact else (hits + 1) / (DRAWS + 1)


def _as_far(sums: Floats, d: Floats, alternative: Alternative) -> NDArray[np.bool_]:
    """Whether sums (patterns, rows) are as far as the observed one; rounding must not make equal ones differ."""
    tolerance, observed = 1e-12 * np.abs(d).sum(axis=1), d.sum(axis=1)
    if alternative == "two-sided":
        return np.asarray(np.abs(sums) >= np.abs(observed) - tolerance)
    return np.asarray(sums >= observed - tolerance)


@lru_cache(maxsize=4)
def _patterns(n: int) -> tuple[Floats, ...]:
    """All 2^n patterns of signs, a row each, in parts of at most 2^12."""
    return tuple(np.split(np.array(list(itertools.product((1.0, -1.0), repeat=n))), max(1, 2 ** (n - 12))))


def _drawn(n: int) -> Iterator[Floats]:
    """Seeded patterns of signs, some rows at a time."""
    source, left = np.random.default_rng(0), DRAWS
    while left:
        rows = min(left, PART)
        yield source.choice(np.array([1.0, -1.0]), size=(rows, n))
        left -= rows
