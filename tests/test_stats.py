"""Statistics against scipy and numpy by hand."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frames import make_run
from scipy import stats as scipy_stats

from winit_cli.stats import METRICS, iqm, mean_interval, ranks, split_label, summarize
from winit_cli.stats.summary import COLUMNS as SUMMARY


def trials(results: dict[str, list[float | None]], lr: float = 0.1) -> pd.DataFrame:
    """One trial per value; None is a diverged trial."""
    rows = [
        {
            "trial": f"{label}/{lr}/{seed}",
            "label": label,
            "scheme": label,
            "lr": lr,
            "seed": seed,
            "status": "diverged" if value is None else "ok",
            "outcome": "diverged" if value is None else "learned",
            "final_train_loss": value,
            "final_val_loss": None,
            "final_test_loss": value,
            "final_test_accuracy": value,
        }
        for label, values in results.items()
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def ranked(results: dict[str, list[float | None]], metric: str = "final_test_accuracy") -> dict[str, int]:
    table = ranks(trials(results), list(results))
    table = table[table["metric"] == metric]
    return dict(zip(table["label"], table["rank"], strict=True))


def test_interval_is_scipys():
    values = [0.2, 0.5, 0.4, 0.9]
    expected = scipy_stats.t.interval(0.95, 3, loc=np.mean(values), scale=scipy_stats.sem(values))
    assert mean_interval(values) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[], [0.3]])
def test_interval_of_too_few_values_is_blank(values):
    assert all(math.isnan(end) for end in mean_interval(values))


def test_interval_of_equal_values_is_exact():
    assert mean_interval([0.1] * 3) == (0.1, 0.1)


def test_iqm_drops_a_quarter_at_each_end():
    assert iqm([100.0, 1.0, 2.0, -50.0]) == 1.5
    assert iqm([0.1] * 7) == 0.1
    assert math.isnan(iqm([]))


def test_summary_has_the_contracts_columns_and_order(tmp_path: Path):
    run = make_run(tmp_path, ["normal", "kaiming_normal"], lrs=(0.1, 0.05), seeds=3)
    table = summarize(run.trials, run.labels)
    columns = "label,lr,metric,n,diverged,mean,median,iqm,sd,ci_low,ci_high"
    assert ",".join(SUMMARY) == columns
    assert ",".join(table.columns).startswith(columns)
    metrics = ["final_train_loss", "final_test_loss", "final_test_accuracy"]
    expected = [(label, lr, metric) for label in run.labels for lr in (0.1, 0.05) for metric in metrics]
    assert list(table[["label", "lr", "metric"]].itertuples(index=False, name=None)) == expected


def test_summary_counts_the_diverged_and_averages_the_survivors():
    row = summarize(trials({"a": [1.0, 2.0, None]}), ["a"]).iloc[0]
    assert (row["n"], row["diverged"]) == (3, 1)
    assert (row["mean"], row["median"], row["sd"]) == pytest.approx((1.5, 1.5, math.sqrt(0.5)))


def test_summary_without_survivors_is_blank():
    row = summarize(trials({"a": [None, None]}), ["a"]).iloc[0]
    assert (row["n"], row["diverged"]) == (2, 2)
    assert row[["mean", "median", "iqm", "sd", "ci_low", "ci_high"]].isna().all()


def test_summary_ignores_trials_that_have_not_finished():
    frame = trials({"a": [1.0, 2.0, 3.0]})
    frame.loc[2, ["status", "final_test_loss"]] = ["pending", None]
    assert set(summarize(frame, ["a"])["n"]) == {2}


def test_summary_shows_validation_only_where_measured(tmp_path: Path):
    run = make_run(tmp_path, task="regression")
    assert set(summarize(run.trials, run.labels)["metric"]) == {"final_train_loss", "final_test_loss"}
    measured = run.trials.assign(final_val_loss=1.0, final_test_accuracy=0.5)
    assert set(summarize(measured, run.labels)["metric"]) == set(METRICS)


def test_the_higher_accuracy_and_the_lower_loss_win():
    results = {"low": [0.1, 0.2], "high": [0.8, 0.9]}
    assert ranked(results) == {"high": 1, "low": 2}
    assert ranked(results, "final_test_loss") == {"low": 1, "high": 2}


def test_a_diverged_trial_counts_as_the_worst_value_seen():
    assert ranked({"lucky": [0.99, None, None], "steady": [0.7, 0.7, 0.7], "poor": [0.1, 0.1, 0.1]}) == {
        "steady": 1,
        "lucky": 2,
        "poor": 3,
    }


def test_all_diverged_never_ties_with_the_only_survivor():
    assert ranked({"dead": [None], "alive": [0.4]}) == {"alive": 1, "dead": 2}


def test_labels_compete_within_their_variant_only():
    results = {"a@depth=2": [0.9], "b@depth=2": [0.8], "a@depth=9": [0.1], "b@depth=9": [0.2]}
    assert ranked(results) == {"a@depth=2": 1, "b@depth=2": 2, "b@depth=9": 1, "a@depth=9": 2}


@pytest.mark.parametrize(
    ("label", "parts"),
    [
        ("zeros", ("zeros", "")),
        ("kaiming_normal@depth=22", ("kaiming_normal", "depth=22")),
        ("a@depth=2@width=3", ("a", "depth=2@width=3")),
        ("he@home", ("he@home", "")),
        ("he@home@depth=2", ("he@home", "depth=2")),
    ],
)
def test_split_label(label, parts):
    assert split_label(label) == parts
