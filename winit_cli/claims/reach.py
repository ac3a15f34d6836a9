"""How many seeds claims take."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from winit_cli.claims.claim import Portion, Term
from winit_cli.stats import SIGNIFICANT, Floats

MOST = 100_000  # seeds


def smallest_claim_p(seeds: int, claims: int) -> float:
    """The smallest p that an exact one-sided test can give after Holm's correction: claims / 2^seeds, at most 1."""
    return min(1.0, claims * 2.0**-seeds)


def seeds_for_claims(claims: int) -> int:
    """The fewest seeds with which every claim of so many can be supported or, but for an interval, refuted."""
    return next(seeds for seeds in range(200) if smallest_claim_p(seeds, claims) < SIGNIFICANT)


def share_can_be_supported(portion: Portion[Term], seeds: int, claims: int) -> bool:
    """Whether a claim about a share can be supported by so many seeds among so many claims."""
    return bool(_smallest_p(portion, np.array([seeds]))[0] * claims < SIGNIFICANT)


def seeds_for_share(portion: Portion[Term], claims: int) -> int:
    """The fewest seeds from which on a claim about a share can be supported among so many claims; at most 100,000.

    Shares come in steps of 1 / seeds, and with some numbers of seeds none lies well within an interval: what so many
    can support, one more need not. The smallest p falls exponentially all the same, so that twice what is enough is as
    far as one must look.
    """
    enough = 1
    while enough < MOST and not share_can_be_supported(portion, enough, claims):
        enough = min(MOST, 2 * enough)
    seeds = np.arange(max(1, enough // 2), min(MOST, 2 * enough) + 1)
    too_few = seeds[_smallest_p(portion, seeds) * claims >= SIGNIFICANT]
    return min(MOST, int(too_few[-1]) + 1) if len(too_few) else enough


def _smallest_p(portion: Portion[Term], seeds: NDArray[np.int64]) -> Floats:
    """Of the exact binomial test, over all numbers of seeds (n,) at which the statement may hold."""
    few, many = np.zeros_like(seeds), seeds.copy()  # P of a larger share falls with the hits, P of a smaller one grows
    while (few < many).any():
        middle = (few + many) // 2
        above, below = _p(portion, middle, seeds)
        few, many = np.where(below >= above, few, np.minimum(middle + 1, many)), np.where(below >= above, middle, many)
    at, before = (np.maximum(*_p(portion, np.maximum(hits, 0), seeds)) for hits in (few, few - 1))
    return np.asarray(np.minimum(at, before))


def _p(portion: Portion[Term], hits: NDArray[np.int64], seeds: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Against a share of at most ``low``, and against one of at least ``high``."""
    none = np.zeros(len(seeds))
    above = none if portion.low is None else scipy_stats.binom.sf(hits - 1, seeds, portion.low)
    below = none if portion.high is None else scipy_stats.binom.cdf(hits, seeds, portion.high)
    return above, below
