"""How many seeds claims take."""

from __future__ import annotations

import numpy as np
from scipy import stats as scipy_stats

from winit_cli.claims.claim import Portion, Term
from winit_cli.stats import SIGNIFICANT

MOST = 100_000  # seeds


def smallest_claim_p(seeds: int, claims: int) -> float:
    """The smallest p that an exact one-sided test can give after Holm's correction: claims / 2^seeds, at most 1."""
    return min(1.0, claims * 2.0**-seeds)


def seeds_for_claims(claims: int) -> int:
    """The fewest seeds with which every claim of so many can be supported or, but for an interval, refuted."""
    return next(seeds for seeds in range(200) if smallest_claim_p(seeds, claims) < SIGNIFICANT)


def seeds_for_share(portion: Portion[Term], claims: int) -> int:
    """The seeds with which a claim about a share can be supported among so many claims, where one fewer would not do;
    at most 100,000."""
    enough = 1
    while enough < MOST and _smallest_p(portion, enough) * claims >= SIGNIFICANT:
        enough = min(MOST, 2 * enough)
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if _smallest_p(portion, middle) * claims < SIGNIFICANT:
            enough = middle
        else:
            too_few = middle
    return enough


def _smallest_p(portion: Portion[Term], seeds: int) -> float:
    """Of the exact binomial test, over all numbers of seeds at which the statement may hold."""
    hits = np.arange(seeds + 1)
    above = 0.0 if portion.low is None else scipy_stats.binom.sf(hits - 1, seeds, portion.low)
    below = 0.0 if portion.high is None else scipy_stats.binom.cdf(hits, seeds, portion.high)
    return float(np.maximum(above, below).min())
