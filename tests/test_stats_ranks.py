"""Places and their intervals, against scipy's paired t-tests."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from pandas import DataFrame
from scipy import stats as scipy_stats

from winit_cli.stats import holm, places, ranks
from winit_cli.stats.ranks import FEWEST


def group(losses: list[float], first: int = 0) -> DataFrame:
    seeds = range(first, first + len(losses))
    return DataFrame({"seed": seeds, "final_test_loss": losses}).astype({"final_test_loss": float})


def expected(data: list[list[float]]) -> list[tuple[int, int, int]]:
    """Rank and interval by scipy's paired t-test of every pair and Holm's correction."""
    pairs = list(itertools.combinations(range(len(data)), 2))
    p = holm([scipy_stats.ttest_rel(data[i], data[j]).pvalue for i, j in pairs])
    means = np.mean(data, axis=1)
    found = []
    for j, own in enumerate(means):
        clear = [i if i != j else k for (i, k), value in zip(pairs, p, strict=True) if value < 0.05 and j in (i, k)]
        better = sum(means[i] < own for i in clear)
        found.append((1 + int((means < own).sum()), 1 + better, len(data) - (len(clear) - better)))
    return found


@pytest.mark.parametrize("seeds", [6, 10])
@pytest.mark.parametrize("key", range(5))
def test_intervals_of_ranks_are_those_of_scipys_t_tests(seeds: int, key: int) -> None:
    source = np.random.default_rng(key)
    shared = source.normal(size=seeds)
    data = [list(source.normal(mean, 0.5, seeds) + shared) for mean in (0, 0.2, 1, 1.1, 3)]
    found = places([group(values) for values in data], "final_test_loss")
    assert [(place.rank, place.low, place.high) for place in found] == expected(data)


def test_few_seeds_tell_nothing_apart() -> None:
    for seeds in range(1, FEWEST):
        found = places([group([0.9] * seeds), group([0.8] * seeds)], "final_test_loss")
        assert [(place.rank, place.low, place.high) for place in found] == [(2, 1, 2), (1, 1, 2)]
    clear = places([group([0.9] * FEWEST), group([0.8] * FEWEST)], "final_test_loss")
    assert [(place.low, place.high) for place in clear] == [(2, 2), (1, 1)]


def test_only_common_seeds_are_paired() -> None:
    apart = places([group([1.0, 1.1] * 5), group([9.0, 9.1] * 5, first=10)], "final_test_loss")
    assert [(place.rank, place.low, place.high) for place in apart] == [(1, 1, 2), (2, 1, 2)]


def test_an_empty_group_is_last_and_beyond_comparison() -> None:
    found = places([group([]), group([1.0] * 6), group([2.0] * 6)], "final_test_loss")
    assert [(place.rank, place.low, place.high) for place in found] == [(3, 1, 3), (1, 1, 2), (2, 2, 3)]


def test_the_largest_losses_do_not_overflow() -> None:
    largest = float(np.finfo(np.float32).max)
    found = places([group([largest] * 6), group([1.0, 2.0, 1.5, 1.2, 1.1, 3.0])], "final_test_loss")
    assert [place.rank for place in found] == [2, 1]


def test_every_trial_diverged() -> None:
    lost = group([math.nan] * 6)
    assert [(place.rank, place.low, place.high) for place in places([lost, lost], "final_test_loss")] == [(1, 1, 2)] * 2
    both = DataFrame({"label": ["a"], "lr": [0.1], "seed": [0], "status": ["diverged"], "final_test_loss": [None]})
    assert ranks(
        both.assign(**dict.fromkeys(("final_train_loss", "final_val_loss", "final_test_accuracy"))), ["a"]
    ).empty


def test_small_losses_are_told_apart() -> None:
    assert [place.rank for place in places([group([2e-14]), group([1e-14]), group([3e-14])], "final_test_loss")] == [
        *(2, 1, 3)
    ]
