"""Paired comparisons with the baseline, against scipy and against counting by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pandas import DataFrame
from scipy import stats as scipy_stats

from winit_cli.stats import Rules, comparisons, holm, sign_flip_p
from winit_cli.stats.comparisons import COLUMNS

DRAWS = np.random.default_rng(4)


def trials(**losses: list[float]) -> DataFrame:
    """Trials of labels with these test losses by seed; NaN is a diverged one. Accuracy is 1 - loss / 10."""
    rows = [
        {
            "label": label,
            "lr": 0.1,
            "seed": seed,
            "status": "diverged" if math.isnan(loss) else "ok",
            "final_train_loss": math.nan,
            "final_val_loss": math.nan,
            "final_test_loss": loss,
            "final_test_accuracy": 1 - loss / 10,
        }
        for label, values in losses.items()
        for seed, loss in enumerate(values)
    ]
    return DataFrame(rows)


def row(metric: str = "final_test_loss", **losses: list[float]) -> dict[str, Any]:
    frame = comparisons(trials(**losses), list(losses), Rules("base"))
    (found,) = frame[frame["metric"] == metric].to_dict("records")
    return found


@pytest.mark.parametrize("n", [2, 5, 10])
def test_the_exact_test_is_scipys(n: int) -> None:
    differences = DRAWS.normal(0.3, 1, n)
    found = scipy_stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=True
    )
    assert sign_flip_p(differences) == pytest.approx(found.pvalue, abs=1e-12)


def test_beyond_sixteen_pairs_the_share_is_drawn_and_near_the_normal_one() -> None:
    differences = DRAWS.normal(0.5, 1, 40)
    z = differences.sum() / math.sqrt((differences**2).sum())
    assert sign_flip_p(differences) == pytest.approx(2 * scipy_stats.norm.sf(abs(z)), abs=0.005)
    assert sign_flip_p(differences) == sign_flip_p(differences)
    assert sign_flip_p(np.ones(40)) == 1 / 100_001  # never 0


def test_equal_sums_count_as_equal_whatever_their_rounding() -> None:
    assert sign_flip_p([0.1, 0.2, -0.3]) == 1.0
    assert sign_flip_p([0.1, 0.1, 0.1]) == 2 / 8


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.6]) == pytest.approx([1.0, 1.0])
    assert len(holm([])) == 0


def test_a_clear_difference() -> None:
    found = row(base=[2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6], good=[1.0, 1.2, 1.1, 1.3, 1.5, 1.4, 1.6])
    low, high = scipy_stats.t.interval(0.95, 6, -1.0, scipy_stats.sem([-1, -0.9, -1.1, -1, -0.9, -1.1, -1]))
    assert (found["label_a"], found["label_b"], found["n"], found["verdict"]) == ("good", "base", 7, "better")
    assert found["difference"] == pytest.approx(-1.0)
    assert (found["ci_low"], found["ci_high"]) == (pytest.approx(low), pytest.approx(high))
    assert found["p"] == found["p_holm"] == 2 / 2**7
    assert found["probability_of_improvement"] == 1.0


def test_accuracy_is_better_where_it_is_higher() -> None:
    found = row("final_test_accuracy", base=[2.0] * 7, bad=[3.0, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6])
    assert found["difference"] < 0 and found["verdict"] == "worse" and found["probability_of_improvement"] == 0


def test_few_seeds_decide_nothing() -> None:
    assert row(base=[2.0, 2.1, 2.2], good=[1.0, 1.1, 1.3])["verdict"] == "undecided"


def test_equal_trials_are_tied() -> None:
    found = row(base=[1.0, 2.0, 3.0], same=[1.0, 2.0, 3.0])
    assert (found["verdict"], found["p"], found["difference"]) == ("tied", 1.0, 0.0)
    assert found["probability_of_improvement"] == 0.5


def test_a_diverged_trial_loses_and_the_difference_is_blank() -> None:
    nan = math.nan
    found = row(base=[2.0] * 7, bad=[nan, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0])
    assert math.isnan(found["difference"]) and math.isnan(found["ci_low"])
    assert found["p"] == pytest.approx(2 / 2**7) and found["verdict"] == "worse"
    assert row(base=[nan] * 7, good=[3.0] * 7)["verdict"] == "better"
    both = row(base=[nan, nan, 1.0], other=[nan, nan, 1.0])
    assert both["verdict"] == "tied" and math.isnan(both["difference"])


def test_the_correction_is_over_the_labels_of_one_metric() -> None:
    base = [2.0 + seed / 10 for seed in range(7)]
    frame = comparisons(
        trials(base=base, a=[x - 1 for x in base], b=[x - 2 for x in base]), ["base", "a", "b"], Rules("base")
    )
    assert list(frame.columns[: len(COLUMNS)]) == list(COLUMNS)
    assert frame.groupby("metric")["p_holm"].apply(list).to_dict() == {
        "final_test_accuracy": [2 * 2 / 2**7] * 2,
        "final_test_loss": [2 * 2 / 2**7] * 2,
    }


def test_variants_are_compared_with_the_baseline_of_their_own() -> None:
    values = {"base@depth=1": [1.0, 2.0], "a@depth=1": [1.0, 3.0], "base@depth=2": [4.0, 5.0], "a@depth=2": [4.0, 5.0]}
    frame = comparisons(trials(**values), list(values), Rules("base"))
    loss = frame[frame["metric"] == "final_test_loss"]
    assert list(zip(loss["label_a"], loss["label_b"], strict=True)) == [
        ("a@depth=1", "base@depth=1"),
        ("a@depth=2", "base@depth=2"),
    ]
    assert list(loss["difference"]) == [0.5, 0.0]


def test_only_seeds_that_both_finished_are_paired() -> None:
    frame = trials(base=[1.0, 2.0, 3.0], a=[1.0, 2.0, 9.0])
    frame.loc[5, "status"] = "failed"
    found = comparisons(frame, ["base", "a"], Rules("base"))
    assert list(found["n"]) == [2, 2] and list(found["verdict"]) == ["tied", "tied"]


def test_nothing_to_compare_is_no_evidence() -> None:
    assert sign_flip_p([]) == 1.0


def test_undecided_says_more_seeds_than_there_are() -> None:
    # a t-test of these is significant, of 64 patterns of signs four are as far
    found = row(base=[2.0] * 6, a=[1.0, 1.1, 0.9, 1.0, 1.2, 2.01])
    assert found["p"] == 4 / 64 and found["verdict"] == "undecided" and 7 <= found["seeds_needed"] < 20
    assert math.isnan(row(base=[2.0], a=[2.1])["seeds_needed"])  # nobody knows the spread


def test_seeds_needed_where_trials_diverge_counts_ties() -> None:
    nan = math.nan
    found = row(base=[nan] * 6 + [1.0] * 2, a=[nan] * 8)
    assert (found["p"], found["verdict"], found["seeds_needed"]) == (0.5, "undecided", 6 * 4)


@pytest.mark.parametrize(
    ("margin", "verdict"), [(0.0, "undecided"), (0.05, "undecided"), (0.2, "tied"), (0.15, "tied")]
)
def test_tied_where_the_interval_lies_within_the_margin(margin: float, verdict: str) -> None:
    losses = {"base": [2.0, 2.0, 2.0, 2.0, 2.0], "a": [2.1, 2.0, 1.9, 2.1, 1.9]}
    low, high = scipy_stats.t.interval(0.95, 4, 0.0, scipy_stats.sem([0.1, 0.0, -0.1, 0.1, -0.1]))
    assert (-margin <= low and high <= margin) == (verdict == "tied")
    frame = comparisons(trials(**losses), list(losses), Rules("base", margins={"final_test_loss": margin}))
    assert frame.set_index("metric").loc["final_test_loss", "verdict"] == verdict


def test_a_clear_difference_within_the_margin_is_a_tie() -> None:
    losses = {"base": [2.0] * 8, "a": [1.99, 1.98, 1.99, 1.98, 1.99, 1.98, 1.99, 1.98]}
    frame = comparisons(trials(**losses), list(losses), Rules("base", margins={"final_test_loss": 0.1}))
    found = frame.set_index("metric").loc["final_test_loss"]
    assert found["p_holm"] < 0.05 and found["verdict"] == "tied"


def test_all_pairs_are_said_of_the_first_and_never_of_the_baseline() -> None:
    losses = {"a": [1.0, 2.0], "base": [2.0, 3.0], "b": [3.0, 5.0]}
    frame = comparisons(trials(**losses), list(losses), Rules("base", "all"))
    loss = frame[frame["metric"] == "final_test_loss"].set_index(["label_a", "label_b"])
    assert list(loss.index) == [("a", "base"), ("a", "b"), ("b", "base")]
    assert list(loss["difference"]) == [-1.0, -2.5, 1.5] and set(loss["family"]) == {3}
    assert list(loss["probability_of_improvement"]) == [1.0, 1.0, 0.0]


def test_a_label_with_no_finished_trial_keeps_its_place_in_the_family() -> None:
    frame = trials(base=[1.0, 2.0], a=[1.5, 2.5], b=[1.0, 1.0])
    frame.loc[frame["label"] == "b", "status"] = "pending"
    found = comparisons(frame, ["base", "a", "b"], Rules("base")).set_index("label_a")
    assert set(found["family"]) == {2} and list(found.loc["b", "n"]) == [0, 0]
    assert set(found.loc["b", "verdict"]) == {"undecided"} and found.loc["b", "seeds_needed"].isna().all()


def test_the_sign_test_of_pairs_with_a_diverged_trial_is_scipys() -> None:
    nan = math.nan
    found = row(base=[1.0, 1.0, nan, 1.0, nan, 1.0], a=[2.0, nan, 2.0, 0.5, nan, 1.0])
    assert found["p"] == scipy_stats.binomtest(2, 4).pvalue  # seeds 4 and 5 are ties
    assert found["probability_of_improvement"] == 3 / 6
    ends = scipy_stats.binomtest(3, 6).proportion_ci(method="wilson")
    assert (found["poi_low"], found["poi_high"]) == pytest.approx((ends.low, ends.high))
