"""Claims decided, against scipy and against counting by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas import DataFrame
from scipy import stats as scipy_stats

from winit_cli.claims.check import Known, check
from winit_cli.claims.claim import Claim
from winit_cli.claims.decide import COLUMNS, decide, needed_steps
from winit_cli.claims.entry import Entry, Given
from winit_cli.claims.reach import seeds_for_claims, smallest_claim_p

NAN, INF = math.nan, math.inf
DRAWS = np.random.default_rng(11)
TEN = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9]


def claims(*expects: str, labels: str = "a b c", rates: tuple[float, ...] = (0.1,), **entry: Any) -> tuple[Claim, ...]:
    given = [Given(index, Entry(expect=expect, **entry)) for index, expect in enumerate(expects)]
    found, faults = check(given, Known(labels.split(), rates, selects=len(rates) > 1))
    assert faults == []
    return found


def trials(metric: str, values: dict[str, list[float]], lr: float = 0.1) -> DataFrame:
    """Trials of labels with these values by seed; NaN is a diverged one."""
    rows = [
        {"label": label, "lr": lr, "seed": seed, "status": "diverged" if math.isnan(value) else "ok", metric: value}
        for label, column in values.items()
        for seed, value in enumerate(column)
    ]
    return DataFrame(rows)


def decided(expect: str, metric: str = "final_train_loss", **values: list[float]) -> dict[str, Any]:
    """The row of one claim about trials with these values."""
    (row,) = decide(claims(expect, metric=metric), {"trials": trials(metric, values)}, {}).to_dict("records")
    return row


def on_curves(expect: str, **values: list[float | None]) -> dict[str, Any]:
    """The row of one claim about gradients at step 5; ``None`` is not measured, since the trial diverged before."""
    every = {label: [NAN if value is None else 1.0 for value in column] for label, column in values.items()}
    rows = [
        {"label": label, "lr": 0.1, "seed": seed, "step": step, "param": param, "grad_norm": value * (step + 1) / 6}
        for label, column in values.items()
        for seed, value in enumerate(column)
        if value is not None
        for step in (0, 5)
        for param in ("w", "v")
    ]
    tables = {"trials": trials("final_train_loss", every), "gradients": DataFrame(rows)}
    (row,) = decide(claims(expect, metric="grad_norm[param=w,step=5]"), tables, {}).to_dict("records")
    return row


@pytest.mark.parametrize("n", [2, 5, 10])
@pytest.mark.parametrize("relation", ["<", ">"])
def test_a_comparison_is_scipys_permutation_test(n: int, relation: str) -> None:
    a, b = DRAWS.normal(0, 1, (2, n))
    row = decided(f"a {relation} b", a=list(a), b=list(b))
    margin = b - a if relation == "<" else a - b
    exact = scipy_stats.permutation_test(
        (margin,), np.mean, permutation_type="samples", alternative="greater", n_resamples=np.inf, vectorized=True
    )
    low, high = scipy_stats.t.interval(0.95, n - 1, (a - b).mean(), scipy_stats.sem(a - b))
    assert row["p"] == pytest.approx(exact.pvalue, abs=1e-12)
    assert (row["n"], row["effect"]) == (n, pytest.approx((a - b).mean()))
    assert (row["ci_low"], row["ci_high"]) == (pytest.approx(low), pytest.approx(high))


def test_a_clear_claim_is_supported_and_its_opposite_refuted() -> None:
    better = [x - 1 for x in TEN]
    assert decided("a < b", a=better, b=TEN)["verdict"] == "supported"
    assert decided("a < b", a=better, b=TEN)["p"] == 1 / 2**10
    refuted = decided("a > b", a=better, b=TEN)
    assert (refuted["verdict"], refuted["p"], refuted["effect"]) == ("refuted", 1.0, pytest.approx(-1.0))


def test_a_claim_about_a_number() -> None:
    row = decided("a < 2", a=TEN)
    assert (row["p"], row["verdict"], row["effect"]) == (1 / 2**10, "supported", pytest.approx(1.45))
    assert decided("2 > a", a=TEN) == {**row, "claim": "2 > a"}
    assert decided("a > 2", a=TEN)["verdict"] == "refuted"
    assert decided("a < 1.4", a=TEN)["verdict"] == "undecided"


def test_few_seeds_decide_nothing() -> None:
    assert decided("a < 2", a=[1.0] * 4)["verdict"] == "undecided"
    assert decided("a < 2", a=[1.0] * 5)["verdict"] == "supported"


def test_beyond_sixteen_seeds_patterns_are_drawn() -> None:
    assert decided("a < 2", a=[1.0 + seed / 100 for seed in range(40)])["p"] == pytest.approx(1 / 100_001)


def test_ties_are_evidence_for_neither() -> None:
    same = decided("a < b", a=TEN, b=TEN)
    assert (same["p"], same["verdict"], same["effect"]) == (1.0, "undecided", 0.0)
    some = decided("a < b", a=[0.5] * 5 + [2.0] * 5, b=[1.0] * 5 + [2.0] * 5)
    assert some["p"] == 1 / 2**5 and some["verdict"] == "supported"
    both = decided("a < b", a=[NAN] * 3 + [1.0] * 5, b=[NAN] * 3 + [2.0] * 5)
    assert both["p"] == 1 / 2**5 and both["n"] == 8


def test_a_diverged_trial_has_the_worst_loss_and_the_sign_test_is_taken() -> None:
    row = decided("a < b", a=[NAN, *TEN[1:]], b=[x + 1 for x in TEN])
    assert row["p"] == pytest.approx(scipy_stats.binomtest(9, 10, alternative="greater").pvalue)
    assert row["effect"] == pytest.approx(-1.0) and math.isnan(row["ci_low"])
    assert decided("b > 2", b=[NAN] * 10, a=TEN)["verdict"] == "supported"
    gone = decided("b < 2", b=[NAN] * 10, a=TEN)
    assert gone["verdict"] == "refuted" and math.isnan(gone["effect"]), "no number is told for infinity"


def test_a_diverged_trial_has_the_worst_accuracy() -> None:
    metric = "final_test_accuracy"
    assert decided("a > 0.5", metric, a=[NAN, *[0.9] * 9])["p"] == pytest.approx(11 / 2**10)
    assert decided("a - b > 0.1", metric, a=[0.9] * 10, b=[NAN] * 10)["verdict"] == "supported"
    assert decided("a / b > 2", metric, a=[0.9] * 10, b=[NAN] * 10)["verdict"] == "supported"
    assert decided("a / b > 2", metric, a=[NAN] * 10, b=[0.9] * 10)["verdict"] == "refuted"


def test_a_difference_of_two_diverged_trials_counts_against() -> None:
    assert decided("a - b in [-1, 1]", a=[NAN] * 10, b=[NAN] * 9 + [1.0])["verdict"] == "refuted"
    assert decided("a / b in [0.5, 2]", a=[NAN] * 10, b=[NAN] * 9 + [1.0])["verdict"] == "refuted"


def test_misses_of_the_target_are_infinite() -> None:
    row = decided("a < b", "steps_to_target", a=[10.0] * 8, b=[50.0, 60.0, 70.0, INF, INF, 40.0, 30.0, 20.0])
    assert row["p"] == 1 / 2**8 and row["effect"] == -45.0
    assert decided("a < b", "steps_to_target", a=[INF] * 8, b=[INF] * 8)["verdict"] == "undecided"


def test_a_metric_that_no_trial_has_decides_nothing() -> None:
    table = trials("final_train_loss", {"a": TEN}).assign(final_val_loss=NAN)
    for metric in ("final_val_loss", "loss_area"):
        (row,) = decide(claims("a < 2", metric=metric), {"trials": table}, {}).to_dict("records")
        assert (row["n"], row["p"], row["verdict"]) == (0, 1.0, "undecided") and math.isnan(row["effect"])


def test_a_variant_without_a_target_decides_nothing() -> None:
    for b, verdict in (([NAN] * 8, "undecided"), ([INF] * 8, "supported")):
        table = trials("steps_to_target", {"a": [10.0] * 8, "b": b}).assign(status="ok")
        found = decide(claims("a < b", metric="steps_to_target"), {"trials": table}, {})
        assert list(found["verdict"]) == [verdict]


def test_a_ratio_is_taken_in_logarithms() -> None:
    a, b = np.exp(DRAWS.normal(7, 0.3, 10)), np.exp(DRAWS.normal(0, 0.3, 10))
    logs = np.log(a / b)
    row = on_curves("a / b in [700, 2900]", a=list(a), b=list(b))
    sides = [
        scipy_stats.permutation_test(
            (margin,), np.mean, permutation_type="samples", alternative="greater", n_resamples=np.inf, vectorized=True
        ).pvalue
        for margin in (logs - math.log(700), math.log(2900) - logs)
    ]
    low, high = scipy_stats.t.interval(0.95, 9, logs.mean(), scipy_stats.sem(logs))
    assert row["p"] == pytest.approx(max(sides), abs=1e-12)
    assert row["effect"] == pytest.approx(scipy_stats.gmean(a / b))
    assert (row["ci_low"], row["ci_high"]) == (pytest.approx(math.exp(low)), pytest.approx(math.exp(high)))
    assert row["metric"] == "grad_norm[param=w,step=5]"


def test_ratios_are_compared_with_ratios() -> None:
    row = on_curves("a / b < c / b", a=[2.0] * 6, b=[1.0] * 6, c=[6.0] * 6)
    assert (row["p"], row["effect"]) == (1 / 2**6, pytest.approx(1 / 3))
    assert on_curves("a / b > -1", a=[2.0] * 6, b=[1.0] * 6)["verdict"] == "supported"
    assert on_curves("a / b in [0, 3]", a=[2.0] * 6, b=[1.0] * 6)["p"] == 1 / 2**6


def test_a_ratio_with_zeros_is_decided_by_signs() -> None:
    row = on_curves("a / b < 0.5", a=[0.0, *[1.0] * 9], b=[10.0] * 10)
    assert (row["p"], row["effect"]) == (1 / 2**10, pytest.approx(0.1)) and math.isnan(row["ci_low"])
    assert on_curves("a / b > 100", a=[1.0] * 10, b=[0.0] * 10)["verdict"] == "supported"
    nothing = on_curves("a / b < 1", a=[0.0] * 10, b=[0.0] * 10)
    assert nothing["verdict"] == "refuted" and math.isnan(nothing["effect"]), "0 / 0 counts against the claim"


def test_a_missing_value_counts_against_the_claim() -> None:
    row = on_curves("a < 2", a=[None, *[1.0] * 9])
    assert row["n"] == 10 and row["p"] == pytest.approx(scipy_stats.binomtest(9, 10, alternative="greater").pvalue)
    assert math.isnan(row["effect"])
    for expect in ("a < 2", "a > 2", "a in [0, 2]", "a / b < 2"):
        assert on_curves(expect, a=[None] * 10, b=[1.0] * 10)["verdict"] == "refuted"


@pytest.mark.parametrize("values", [TEN, [x + 5 for x in TEN], [x - 5 for x in TEN]], ids=["in", "above", "below"])
def test_an_interval_is_two_tests(values: list[float]) -> None:
    row = decided("a in [0.5, 2.5]", a=values)
    assert row["verdict"] == ("supported" if values is TEN else "refuted")
    assert row["effect"] == pytest.approx(np.mean(values))
    assert row["p"] == (1 / 2**10 if values is TEN else 1.0)


def test_an_interval_has_two_chances_to_be_refuted() -> None:
    assert decided("a in [0, 0.5]", a=[1.0] * 5)["verdict"] == "undecided"  # 2 / 2^5 = 0.0625
    assert decided("a in [0, 0.5]", a=[1.0] * 6)["verdict"] == "refuted"


def test_curves_are_read_at_the_step_and_of_the_part() -> None:
    rows = [
        {
            "label": "a",
            "lr": 0.1,
            "seed": seed,
            "step": step,
            "split": split,
            "loss": 1.0 + step + 10 * (split == "test"),
        }
        for seed in range(6)
        for step in (0, 5)
        for split in ("train", "test")
    ]
    tables = {"trials": trials("final_train_loss", {"a": [1.0] * 6}), "curves": DataFrame(rows)}
    asked = claims("a train_loss[step=0] < a test_loss[step=5]", "a train_loss[step=5] < 1")
    found = decide(asked, tables, {})
    assert list(found["effect"]) == [-15.0, 6.0]
    assert list(found["metric"]) == ["train_loss[step=0]; test_loss[step=5]", "train_loss[step=5]"]


@pytest.mark.parametrize("hits", [0, 3, 5, 9, 10])
def test_an_outcome_is_scipys_binomial_test(hits: int) -> None:
    outcomes = ["stuck"] * hits + ["learned"] * (9 - hits if hits < 10 else 0) + ["diverged"] * (hits < 10)
    table = trials("final_train_loss", {"a": TEN}).assign(outcome=outcomes)
    (row,) = decide(claims("a stuck"), {"trials": table}, {}).to_dict("records")
    share = scipy_stats.binomtest(hits, 10, alternative="greater")
    wilson = scipy_stats.binomtest(hits, 10).proportion_ci(method="wilson")
    assert (row["n"], row["effect"], row["p"]) == (10, hits / 10, pytest.approx(share.pvalue))
    assert (row["ci_low"], row["ci_high"]) == (pytest.approx(wilson.low, abs=1e-12), pytest.approx(wilson.high))
    assert row["verdict"] == {0: "refuted", 9: "supported", 10: "supported"}.get(hits, "undecided")


def test_holm_is_over_all_claims_on_either_side() -> None:
    table = trials("final_train_loss", {"a": [1.0] * 6, "b": [2.0] * 6, "c": [1.0, 1.0, 1.0, 1.0, 1.0, 9.0]})
    found = decide(claims("a < b", "b < 3", "c < 2", "b < a", metric="final_train_loss"), {"trials": table}, {})
    assert list(found.columns) == list(COLUMNS)
    one = 1 / 2**6
    # c: the sum of its margins is below 0, so that of half of the patterns or more is as large
    assert list(found["p"])[:2] == [4 * one, 4 * one]
    assert list(found["verdict"]) == ["undecided"] * 4
    found = decide(claims("a < b", "b < 3", "b < a", metric="final_train_loss"), {"trials": table}, {})
    assert list(found["p"]) == [3 * one, 3 * one, 1.0]
    assert list(found["verdict"]) == ["supported", "supported", "refuted"]


def test_only_seeds_that_all_finished_are_paired() -> None:
    table = trials("final_train_loss", {"a": TEN, "b": [x + 1 for x in TEN]})
    table.loc[[3, 15], "status"] = ["failed", "pending"]
    (row,) = decide(claims("a < b", metric="final_train_loss"), {"trials": table}, {}).to_dict("records")
    assert (row["n"], row["p"]) == (8, 1 / 2**8)


def test_each_label_has_its_selected_rate() -> None:
    tables = [
        trials("final_train_loss", {"a": [value] * 6, "b": [2.0] * 6}, lr) for value, lr in ((1.0, 0.1), (5.0, 0.5))
    ]
    asked = claims("a < b", metric="final_train_loss", rates=(0.1, 0.5))
    chosen = [({"a": 0.1, "b": 0.5}, "supported"), ({"a": 0.5, "b": 0.1}, "refuted"), ({"a": 0.1}, "undecided")]
    for selected, verdict in chosen:
        assert list(decide(asked, {"trials": pd.concat(tables)}, selected)["verdict"]) == [verdict]
    fixed = claims("a < b", metric="final_train_loss", rates=(0.1, 0.5), lr=0.5)
    assert list(decide(fixed, {"trials": pd.concat(tables)}, {})["verdict"]) == ["refuted"]


def test_no_claims_are_an_empty_table() -> None:
    found = decide((), {"trials": trials("final_train_loss", {"a": TEN})}, {})
    assert list(found.columns) == list(COLUMNS) and len(found) == 0


def test_which_gradients_are_needed() -> None:
    asked = claims("a grad_norm[param=w,step=5] / b > 1", "a grad_norm[param=v] < 1", "a loss_area < b", "a stuck")
    assert needed_steps(asked) == {("w", 5), ("v", 0)}


def test_seeds_that_claims_take() -> None:
    assert [seeds_for_claims(count) for count in (1, 2, 3, 12, 13)] == [5, 6, 6, 8, 9]
    for count in (1, 4, 30):
        seeds = seeds_for_claims(count)
        assert smallest_claim_p(seeds, count) < 0.05 <= smallest_claim_p(seeds - 1, count)
    assert smallest_claim_p(1, 9) == 1.0


@pytest.mark.parametrize("expect", ["a < b", "a > 0", "a in [0, 100]", "a - b > 0"])
def test_false_verdicts_are_rare(expect: str) -> None:
    """Where the margin is symmetric around 0, which is the edge of the claim, it is supported in at most 5 %."""
    wrong = 0
    asked = claims(expect, metric="final_train_loss")
    draws = np.random.default_rng(5)
    for _ in range(400):
        values = {label: list(draws.normal(0, 1, 8)) for label in "ab"}
        wrong += list(decide(asked, {"trials": trials("final_train_loss", values)}, {})["verdict"]) == ["supported"]
    assert wrong <= 400 * 0.05 + 3 * math.sqrt(400 * 0.05 * 0.95)
