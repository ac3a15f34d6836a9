"""How many seeds claims take."""

from __future__ import annotations

from winit_cli.stats import SIGNIFICANT


def smallest_claim_p(seeds: int, claims: int) -> float:
    """The smallest p that an exact one-sided test can give after Holm's correction: claims / 2^seeds, at most 1."""
    return min(1.0, claims * 2.0**-seeds)


def seeds_for_claims(claims: int) -> int:
    """The fewest seeds with which every claim of so many can be supported or, but for an interval, refuted."""
    return next(seeds for seeds in range(200) if smallest_claim_p(seeds, claims) < SIGNIFICANT)
