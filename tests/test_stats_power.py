"""Seeds that a verdict takes, against simulations of the whole procedure."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from winit_cli.stats import (
    SIGNIFICANT,
    family_size,
    seeds_for_a_verdict,
    seeds_needed,
    seeds_needed_by_signs,
    sign_flip_p,
    sign_flip_ps,
    smallest_p,
)

DATA_SETS = 1_500


@pytest.mark.parametrize(("family", "seeds"), [(1, 6), (2, 7), (3, 7), (4, 8), (9, 9), (12, 9), (13, 10), (36, 11)])
def test_the_fewest_seeds_are_those_whose_clearest_result_is_significant(family: int, seeds: int) -> None:
    assert seeds_for_a_verdict(family) == seeds
    assert family * sign_flip_p(np.ones(seeds)) < SIGNIFICANT <= family * sign_flip_p(np.ones(seeds - 1))


def test_all_pairs_of_nine_labels_are_out_of_reach_of_ten_seeds() -> None:
    assert family_size(9, 1, "all") == 36
    assert smallest_p(10, 36) == 36 * 2 / 2**10 > SIGNIFICANT
    assert family_size(10, 1, "baseline") == 9 and smallest_p(9, 9) == 9 * 2 / 2**9 < SIGNIFICANT


def power(effect: float, seeds: int, family: int) -> float:
    """Share of simulated comparisons whose p is significant in a family of so many."""
    differences = np.random.default_rng([seeds, family]).normal(effect, 1, (DATA_SETS, seeds))
    return float((sign_flip_ps(list(differences)) < SIGNIFICANT / family).mean())


@pytest.mark.parametrize("family", [1, 3, 9, 18])
@pytest.mark.parametrize("effect", [1.0, 1.2, 1.5, 2.0, 3.0])
def test_the_seeds_needed_give_the_power_that_is_said(effect: float, family: int) -> None:
    seeds = seeds_needed(effect, 1.0, 0.0, family)
    assert seeds >= seeds_for_a_verdict(family)
    error = 3 * math.sqrt(0.8 * 0.2 / DATA_SETS)
    reached = power(effect, int(seeds), family) if seeds <= 16 else by_t(effect, int(seeds), family)
    assert reached > 0.77 - error
    if seeds - 2 >= seeds_for_a_verdict(family):
        assert power(effect, int(seeds) - 2, family) < 0.8 + error


@pytest.mark.parametrize("family", [1, 9])
@pytest.mark.parametrize("effect", [0.3, 0.5, 0.8])
def test_small_effects_need_as_many_seeds_as_a_t_test(effect: float, family: int) -> None:
    assert by_t(effect, int(seeds_needed(effect, 1.0, 0.0, family)), family) == pytest.approx(0.8, abs=0.03)


def by_t(effect: float, seeds: int, family: int) -> float:
    critical = scipy_stats.t.isf(SIGNIFICANT / (2 * family), seeds - 1)
    return float(scipy_stats.nct.sf(critical, seeds - 1, effect * math.sqrt(seeds)))


@pytest.mark.parametrize(("difference", "margin"), [(0.0, 0.5), (0.0, 1.0), (0.2, 0.7), (0.0, 0.25)])
def test_the_seeds_needed_for_a_tie_give_the_power_that_is_said(difference: float, margin: float) -> None:
    seeds = int(seeds_needed(difference, 1.0, margin, 9))
    values = np.random.default_rng(seeds).normal(difference, 1, (10_000, seeds))
    half = scipy_stats.t.isf(0.025, seeds - 1) * values.std(axis=1, ddof=1) / math.sqrt(seeds)
    tied = (np.abs(values.mean(axis=1)) + half <= margin).mean()
    assert tied == pytest.approx(0.8, abs=0.06)


def test_seeds_needed_at_the_edges() -> None:
    assert seeds_needed(0.0, 1.0, 0.0, 9) == math.inf  # no difference and no margin
    assert seeds_needed(0.01, 1.0, 0.0, 9) == math.inf  # beyond 1,000
    assert seeds_needed(1.0, 0.0, 0.0, 9) == 9  # always the same difference
    assert math.isnan(seeds_needed(1.0, math.nan, 0.0, 9))  # from one seed
    assert seeds_needed(0.5, 1.0, 0.5, 1) < seeds_needed(0.5, 1.0, 0.5, 9)  # a margin as wide as the difference


@pytest.mark.parametrize(("wins", "losses", "family"), [(5, 0, 1), (8, 2, 1), (9, 1, 9), (0, 9, 18), (7, 3, 3)])
def test_seeds_needed_by_signs_give_the_power_that_is_said(wins: int, losses: int, family: int) -> None:
    seeds, share = int(seeds_needed_by_signs(wins, losses, family)), max(wins, losses) / (wins + losses)

    def reached(n: int) -> float:
        significant = [k for k in range(n + 1) if k > n / 2 and scipy_stats.binomtest(k, n).pvalue * family < 0.05]
        return sum(float(scipy_stats.binom.pmf(k, n, share)) for k in significant)

    assert reached(seeds) >= 0.8 and all(reached(n) < 0.8 for n in range(2, seeds))


def test_seeds_that_tie_do_not_decide() -> None:
    assert seeds_needed_by_signs(3, 0, 1) == 6
    assert seeds_needed_by_signs(3, 0, 1, ties=3) == 12
    assert seeds_needed_by_signs(2, 2, 1) == math.inf
    assert seeds_needed_by_signs(1, 0, 1, ties=999) == math.inf
