"""What is promised of intervals and verdicts, in simulated experiments: coverage, false claims, power.

V experiments (a variant each, so that one call decides them all), R labels, S seeds; a metric each adds 4 of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from pandas import DataFrame, Series
from scipy.stats import binom

from winit_cli.stats import METRICS, Rules, comparisons, mean_interval, ranks, seeds_needed, wilson_interval
from winit_cli.stats.ranks import FEWEST

EXPERIMENTS = 500  # times 4 metrics: 2,000 data sets
LABELS = 10  # a baseline and 9 others
Values = NDArray[np.float64]  # (METRICS, V, R, S)


def bound(share: float, draws: int) -> float:
    """Three standard errors of a simulated share."""
    return 3 * math.sqrt(share * (1 - share) / draws)


def experiments(values: Values) -> tuple[DataFrame, list[str]]:
    """Trials of labels s0@run=0, s1@run=0, ...; NaN is a diverged one."""
    _, count, labels, seeds = values.shape
    names = [f"s{label}@run={run}" for run in range(count) for label in range(labels)]
    flat = values.reshape(len(METRICS), -1)
    frame = DataFrame(dict(zip(METRICS, flat, strict=True)))
    frame["label"] = np.repeat(names, seeds)
    frame["seed"] = np.tile(np.arange(seeds), len(names))
    frame["lr"] = 0.1
    frame["status"] = np.where(np.isnan(flat).any(axis=0), "diverged", "ok")
    return frame, names


def normal(means: list[float], seeds: int, *, runs: int = EXPERIMENTS, key: int = 0) -> Values:
    """Labels with these means; paired differences have sd 1, and seeds an effect of their own on all labels."""
    source = np.random.default_rng([key, seeds, len(means)])
    shape = (len(METRICS), runs, len(means), seeds)
    shared = source.normal(size=(len(METRICS), runs, 1, seeds))
    return np.array(means)[:, None] + source.normal(0, math.sqrt(0.5), shape) + shared


def equal(seeds: int) -> Values:
    """Labels without a difference."""
    return normal([0.0] * LABELS, seeds)


def in_steps(seeds: int, *, step: float = 0.005, labels: int = LABELS) -> Values:
    """Accuracies of equal labels over so few test examples that many are equal."""
    source = np.random.default_rng([2, seeds, labels])
    return np.round(source.normal(0.9, 0.005, (len(METRICS), EXPERIMENTS, labels, seeds)) / step) * step


def learn_or_not(seeds: int, *, labels: int = LABELS) -> Values:
    """Equal labels of which half of the trials are stuck."""
    source = np.random.default_rng([3, seeds, labels])
    shape = (len(METRICS), EXPERIMENTS, labels, seeds)
    return np.where(source.random(shape) < 0.5, 0.1, source.normal(0.9, 0.005, shape))


def or_diverge(seeds: int) -> Values:
    """Equal labels of which a fifth of the trials diverge."""
    values = normal([0.0] * LABELS, seeds, key=4)
    lost = np.random.default_rng([5, seeds]).random(values.shape[1:]) < 0.2
    return np.where(lost, math.nan, values)


EQUAL = [equal, in_steps, learn_or_not, or_diverge]


def share_of_runs(table: DataFrame, hit: NDArray[np.bool_]) -> float:
    """How many of the experiments, each metric one of its own, have a row that is hit."""
    run = table["label_a" if "label_a" in table else "label"].str.partition("@")[2]
    return float(hit.groupby([run, table["metric"]]).any().mean())


@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_the_interval_of_a_mean_covers_it_in_95_percent(seeds: int) -> None:
    source = np.random.default_rng(seeds)
    assert 0.93 < coverage(source.normal(1, 2, (4_000, seeds)), 1.0) < 0.97
    mild = source.gamma(9, 1 / 9, (4_000, seeds))  # skewness 2/3
    assert 0.92 < coverage(mild, 1.0) < 0.97


def coverage(data: NDArray[np.float64], true: float) -> float:
    ends = np.array([mean_interval(values) for values in data])
    return float(((ends[:, 0] <= true) & (true <= ends[:, 1])).mean())


@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_wilsons_interval_covers_a_share_in_about_95_percent_on_the_average_over_shares(seeds: int) -> None:
    ends = np.array([wilson_interval(wins, seeds) for wins in range(seeds + 1)])
    shares = np.linspace(0.005, 0.995, 100)
    covered = (ends[:, :1] <= shares) & (shares <= ends[:, 1:])
    assert (covered * binom.pmf(np.arange(seeds + 1)[:, None], seeds, shares)).sum(axis=0).mean() > 0.94


def test_a_few_null_experiments_give_no_verdict() -> None:
    frame, names = experiments(normal([0.0] * LABELS, 9, runs=50))
    table, places = comparisons(frame, names, Rules("s0", margins={})), ranks(frame, names)
    assert share_of_runs(table, table["verdict"].isin(["better", "worse"])) <= 0.05 + bound(0.05, 200)
    assert share_of_runs(places, places["rank_low"] > 1) <= 0.05 + bound(0.05, 200)


@pytest.mark.slow
@pytest.mark.parametrize("make", EQUAL)
@pytest.mark.parametrize("seeds", [9, 10])
def test_nine_equal_labels_are_hardly_ever_called_better_or_worse(make: Callable[[int], Values], seeds: int) -> None:
    frame, names = experiments(make(seeds))
    table = comparisons(frame, names, Rules("s0", margins={}))
    assert len(table) == 9 * EXPERIMENTS * len(METRICS)
    wrong = share_of_runs(table, table["verdict"].isin(["better", "worse"]))
    assert wrong <= 0.05 + bound(0.05, 2_000)


@pytest.mark.slow
@pytest.mark.parametrize("make", EQUAL)
@pytest.mark.parametrize("seeds", [3, 6, 10])
def test_ranks_of_equal_labels_hold_all_places(make: Callable[[int], Values], seeds: int) -> None:
    frame, names = experiments(make(seeds))
    table = ranks(frame, names)
    wrong = share_of_runs(table, (table["rank_low"] > 1) | (table["rank_high"] < LABELS))
    assert wrong <= 0.05 + bound(0.05, 2_000)
    # what the answer claims of the first place
    assert share_of_runs(table, (table["rank"] == 1) & (table["rank_high"] < LABELS)) <= wrong
    assert seeds >= FEWEST or wrong == 0


@pytest.mark.slow
@pytest.mark.parametrize("apart", [0.5, 1.5, 3.0])
def test_ranks_of_labels_in_groups_of_equals_hold_the_true_places(apart: float) -> None:
    means = np.repeat([0, 1, 2], [3, 3, 4]) * apart
    frame, names = experiments(normal(list(means), 10, key=1))
    table = ranks(frame, names)
    own = table["label"].str.extract(r"s(\d+)@")[0].astype(int).map(dict(enumerate(means)))
    ahead = own.where(table["metric"] == "final_test_accuracy", -own)
    best = np.array([(others > x).sum() for x, others in zip(ahead, _of_run(ahead), strict=True)])
    worst = np.array([(others >= x).sum() for x, others in zip(ahead, _of_run(ahead), strict=True)])
    wrong = share_of_runs(table, (table["rank_low"] > best + 1) | (table["rank_high"] < worst))
    assert wrong <= 0.05 + bound(0.05, 2_000)


def _of_run(values: Series) -> NDArray[np.float64]:
    """For each row those of all labels of its experiment."""
    return np.repeat(values.to_numpy().reshape(-1, LABELS), LABELS, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("effect", [1.5, 2.0])
def test_an_effect_is_found_as_often_as_the_seeds_needed_say(effect: float) -> None:
    needed = int(seeds_needed(effect, 1.0, 0.0, 3))
    for seeds in (needed, 10):
        found = found_better(effect, seeds)
        assert found > 0.8 - bound(0.8, 2_000)
    assert found_better(effect, 6) == 0  # too few for 3 comparisons


def found_better(effect: float, seeds: int) -> float:
    """How often one label of three that is so many sd better than the baseline is called so."""
    values = normal([0.0, -effect, 0.0, 0.0], seeds)
    values[METRICS.index("final_test_accuracy")] *= -1
    frame, names = experiments(values)
    table = comparisons(frame, names, Rules("s0", margins={}))
    return float((table.loc[table["label_a"].str.startswith("s1@"), "verdict"] == "better").mean())


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [6, 10, 16])
def test_labels_that_differ_by_the_margin_are_hardly_ever_called_tied(seeds: int) -> None:
    frame, names = experiments(normal([0.0, 1.0], seeds))
    table = comparisons(frame, names, Rules("s0", margins=dict.fromkeys(METRICS, 1.0)))
    assert (table["verdict"] == "tied").mean() <= 0.025 + bound(0.025, 2_000)
