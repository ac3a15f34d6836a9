"""Intervals, tests and corrections against scipy, numpy and counting by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats as scipy_stats

from winit_cli.stats import holm, iqm, iqm_interval, mean, sd, sign_flip_p, sign_flip_ps, sign_test_p, wilson_interval
from winit_cli.stats.intervals import RESAMPLES

ALTERNATIVES = ("two-sided", "greater", "less")


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 10), (3, 10), (10, 10), (7, 100), (99, 100)])
def test_wilsons_interval_is_scipys(successes: int, n: int) -> None:
    found = scipy_stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(successes, n) == pytest.approx((found.low, found.high), abs=1e-15)


def test_wilsons_interval_takes_halves_and_stays_in_the_unit_interval() -> None:
    below, half, above = wilson_interval(4, 10), wilson_interval(4.5, 10), wilson_interval(5, 10)
    assert below[0] < half[0] < above[0] and below[1] < half[1] < above[1]
    assert wilson_interval(0, 3)[0] == 0 and wilson_interval(3, 3)[1] == 1
    assert all(math.isnan(end) for end in wilson_interval(0, 0))


@pytest.mark.parametrize("n", range(1, 14))
def test_the_interquartile_mean_is_scipys(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    assert iqm(values) == pytest.approx(scipy_stats.trim_mean(values, 0.25), rel=1e-12)


@pytest.mark.parametrize("n", [2, 3, 5, 10, 23])
def test_the_bootstrap_is_numpys(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    drawn = np.random.default_rng(0).integers(0, n, size=(RESAMPLES, n))
    means = scipy_stats.trim_mean(np.sort(values)[drawn], 0.25, axis=1)
    assert iqm_interval(values) == pytest.approx(np.quantile(means, (0.025, 0.975)), rel=1e-9)
    assert iqm_interval(values) == iqm_interval(values)
    assert iqm_interval(values) == iqm_interval(values[::-1])


@pytest.mark.parametrize("n", [10, 20])
def test_the_bootstrap_is_near_scipys(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    found = scipy_stats.bootstrap(
        (values,),
        lambda sample, axis: scipy_stats.trim_mean(sample, 0.25, axis=axis),
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert iqm_interval(values) == pytest.approx((found.low, found.high), abs=0.1 * sd(values))


def test_equal_values_have_no_spread_and_one_value_has_no_interval() -> None:
    assert (mean([0.1] * 3), sd([0.1] * 3), iqm_interval([0.1] * 3)) == (0.1, 0.0, (0.1, 0.1))
    assert math.isnan(sd([1.0])) and all(math.isnan(end) for end in iqm_interval([1.0]))
    assert math.isnan(mean([])) and math.isnan(iqm([]))


def test_extreme_values_do_not_overflow() -> None:
    largest = float(np.finfo(np.float32).max)
    assert mean([largest, largest / 2]) == pytest.approx(largest * 0.75)
    assert math.isfinite(sd([largest, 0.0]))


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("n", [2, 3, 6, 10, 16])
def test_the_sign_flip_test_is_scipys_on_every_side(n: int, alternative: str) -> None:
    differences = np.random.default_rng(n).normal(0.4, 1, n)
    found = scipy_stats.permutation_test(
        (differences,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
        alternative=alternative,
    )
    assert sign_flip_p(differences, alternative) == pytest.approx(found.pvalue, abs=1e-12)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_the_sign_flip_test_counts_ties_and_zeros_as_by_hand(alternative: str) -> None:
    differences = np.array([0.3, 0.0, -0.1, 0.2, 0.2])
    sums = [float(np.dot(signs, differences)) for signs in itertools.product((1, -1), repeat=5)]
    observed = float(differences.sum())
    as_far = {
        "two-sided": lambda s: abs(s) > abs(observed) - 1e-9,
        "greater": lambda s: s > observed - 1e-9,
        "less": lambda s: s < observed + 1e-9,
    }[alternative]
    assert sign_flip_p(differences, alternative) == sum(map(as_far, sums)) / 32


def test_rows_of_all_lengths_are_tested_as_one_by_one() -> None:
    source = np.random.default_rng(5)
    rows = [source.normal(0.3, 1, n) for n in (3, 0, 7, 17, 3, 16, 17)]
    assert sign_flip_ps(rows) == pytest.approx([sign_flip_p(row) for row in rows], abs=0)
    assert len(sign_flip_ps([])) == 0


def test_drawn_sign_flips_are_within_their_error_of_the_exact_share() -> None:
    differences = np.random.default_rng(8).normal(0.4, 1, 18)
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=18)))
    exact = float((np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9).mean())
    assert sign_flip_p(differences) == pytest.approx(exact, abs=4 * math.sqrt(exact / 100_000))


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize(("wins", "losses"), [(0, 5), (5, 0), (3, 4), (9, 1), (20, 7)])
def test_the_sign_test_is_the_binomial_sum(wins: int, losses: int, alternative: str) -> None:
    n = wins + losses
    above = sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n
    below = sum(math.comb(n, k) for k in range(wins + 1)) / 2**n
    expected = {"greater": above, "less": below, "two-sided": min(1.0, 2 * min(above, below))}[alternative]
    assert sign_test_p(wins, losses, alternative) == pytest.approx(expected)
    assert sign_test_p(wins, losses, alternative) == pytest.approx(
        scipy_stats.binomtest(wins, n, 0.5, alternative).pvalue
    )


def test_ties_alone_are_no_evidence() -> None:
    assert sign_test_p(0, 0) == 1.0


def plain_holm(p: NDArray[np.float64]) -> list[float]:
    """Reject the smallest at level / m, the next at level / (m - 1), ...: each p is the least level that rejects it."""
    found, so_far = [0.0] * len(p), 0.0
    for passed, place in enumerate(np.argsort(p)):
        so_far = max(so_far, (len(p) - passed) * float(p[place]))
        found[place] = min(1.0, so_far)
    return found


@pytest.mark.parametrize("m", [1, 2, 9, 36])
def test_holm_is_the_step_down_procedure(m: int) -> None:
    p = np.random.default_rng(m).random(m) ** 3
    assert holm(p) == pytest.approx(plain_holm(p))
    assert holm([0.01, 0.01, 0.04]) == pytest.approx([0.03, 0.03, 0.04])
