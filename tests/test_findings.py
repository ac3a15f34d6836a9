"""The standings, and what is said in words: no claim beyond the numbers."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pandas as pd
import pytest
from frames import TWELVE, make_run

from winit_cli.findings import Findings, reach
from winit_cli.findings.standings import COLUMNS
from winit_cli.findings.why import why
from winit_cli.stats import METRICS
from winit_cli.store.frames import RunFrames


def said(run: RunFrames) -> str:
    return "\n".join(Findings(run).sentences)


def with_config(run: RunFrames, **config: object) -> RunFrames:
    return dataclasses.replace(run, config=run.config | config)


def test_standings_are_ranked_and_hold_what_the_tables_say(tmp_path: Path) -> None:
    found = Findings(make_run(tmp_path, TWELVE, seeds=10))
    table = found.standings.set_index("label", drop=False)
    assert list(found.standings.columns) == list(COLUMNS)
    assert list(table["rank"]) == sorted(table["rank"]) and table.index[0] == "kaiming_normal"
    row = table.loc["xavier_normal"]
    (compared,) = found.tables.comparisons.query(
        "label_a == 'xavier_normal' and metric == 'final_test_accuracy'"
    ).to_dict("records")
    assert (row["difference"], row["p_holm"], row["verdict"]) == (
        compared["difference"],
        compared["p_holm"],
        compared["verdict"],
    )
    assert table.loc["pytorch_default", "verdict"] == "baseline" and math.isnan(table.loc["pytorch_default", "p_holm"])
    assert set(table["of"]) == {12}
    assert ((table["rank_low"] <= table["rank"]) & (table["rank"] <= table["rank_high"])).all()


def test_gradients_are_those_of_the_first_and_last_weight(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["kaiming_normal", "zeros"], layers=12)
    table = Findings(run).standings.set_index("label")
    start = run.gradients[(run.gradients["step"] == 0) & (run.gradients["label"] == "kaiming_normal")]
    for column, param in (("first_grad", "layers.0.weight"), ("last_grad", "head.weight")):
        expected = start.loc[start["param"] == param, "grad_norm"].median()
        assert table.loc["kaiming_normal", column] == pytest.approx(expected)
    assert table.loc["zeros", "first_grad"] == 0 and table.loc["zeros", "why"] == "the first layer's gradient is 0"


def test_stuck_and_diverged_are_counted(tmp_path: Path) -> None:
    table = Findings(make_run(tmp_path, TWELVE, seeds=5)).standings.set_index("label")
    assert table.loc["zeros", ["n", "stuck", "diverged"]].tolist() == [5, 5, 0]
    assert table.loc["ones", ["n", "stuck", "diverged"]].tolist() == [5, 2, 3]


def test_equal_rows_share_a_rank_in_the_configs_order(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["zeros", "kaiming_normal", "zeros@home"], seeds=2)
    flat = run.trials.assign(final_test_accuracy=run.trials["label"].eq("kaiming_normal") * 0.8 + 0.1)
    table = Findings(dataclasses.replace(run, trials=flat)).standings
    assert list(zip(table["label"], table["rank"], strict=True)) == [
        ("kaiming_normal", 1),
        ("zeros", 2),
        ("zeros@home", 2),
    ]


def test_only_the_selected_rate_of_each_label_is_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["kaiming_normal", "zeros"], seeds=10, lrs=(0.1, 0.05))
    better = run.trials.assign(final_val_loss=run.trials["lr"].map({0.1: 2.0, 0.05: 1.0}))
    select = {"metric": "final_val_loss", "seeds": [100, 101]}
    found = Findings(with_config(dataclasses.replace(run, selection=better), select=select))
    assert list(found.standings["lr"]) == [0.05, 0.05]
    chosen = found.tables.comparisons
    assert list(chosen["lr"].unique()) == ["selected", 0.1, 0.05]
    assert set(chosen.loc[chosen["lr"] == "selected", "family"]) == {1}
    assert set(chosen.loc[chosen["lr"] != "selected", "family"]) == {2}
    assert found.standings["verdict"].tolist() == ["baseline", "worse"]
    assert "selected for each label by the mean final_val_loss over 2 seeds" in " ".join(found.method)


def test_the_answer_names_the_best_whom_it_beats_and_the_failures(tmp_path: Path) -> None:
    text = said(make_run(tmp_path, TWELVE, seeds=10))
    assert text.startswith("kaiming_normal reaches a mean test accuracy of 0.90")
    assert "± 0.0050 (95 % interval over 10 seeds), better than all 11 others. Against pytorch_default: " in text
    assert "kaiming_normal and xavier_normal are better; normal:std=0.001, ones, zeros and normal are worse" in text
    assert "Diverged: ones in 3 of 10 and normal in 2 of 10." in text
    assert "zeros in 10 of 10" in text


def test_the_answer_names_whom_the_best_does_not_beat(tmp_path: Path) -> None:
    text = said(make_run(tmp_path, ["sparse", "orthogonal", "zeros"], seeds=10))
    assert "better than 1 of 2 others; these seeds do not tell it apart from" in text


def test_a_tie_within_the_margin_is_not_called_better(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["kaiming_normal", "xavier_normal", "zeros"], seeds=10)
    assert "better than all 2 others" in said(run)
    wide = with_config(run, tie_margin=dict.fromkeys(METRICS, 0.2))
    assert "better than 1 of 2 others. Against kaiming_normal: " in said(wide)
    assert "xavier_normal is tied" in said(wide)


def test_few_seeds_decide_nothing(tmp_path: Path) -> None:
    text = said(make_run(tmp_path, ["sparse", "zeros"], seeds=1))
    assert ", from a single seed." in text
    assert "Against sparse no better or worse can be told with 1 seed: at least 6 are needed for 1 comparison." in text


def test_a_run_in_which_everything_diverged_has_no_answer(tmp_path: Path) -> None:
    assert said(make_run(tmp_path, ["ones"], seeds=2)).startswith("No trial has finished with a result")


def test_a_run_in_which_nothing_learned_says_so(tmp_path: Path) -> None:
    assert "no better than always giving the same answer" in said(make_run(tmp_path, ["zeros", "normal:std=0.001"]))


def test_equal_rows_share_the_place(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["zeros", "zeros@home"], seeds=2)
    equal = run.trials.assign(final_test_accuracy=0.1)
    assert said(dataclasses.replace(run, trials=equal)).startswith("zeros and zeros@home share the first place")


def test_each_variant_has_its_own_answer(tmp_path: Path) -> None:
    labels = [f"{scheme}@depth={depth}" for depth in (2, 9) for scheme in ("kaiming_normal", "zeros")]
    text = said(with_config(make_run(tmp_path, labels), baseline="kaiming_normal"))
    assert text.startswith("At depth=2: kaiming_normal reaches")
    assert "\nAt depth=9: kaiming_normal reaches" in text


def test_what_a_config_can_decide_is_known_before_training(tmp_path: Path) -> None:
    config = make_run(tmp_path, [f"s{i}" for i in range(10)], seeds=9).config
    assert str(reach(config)) == (
        "9 comparisons with s0: with 9 seeds the smallest p after Holm's correction is 0.03516; "
        "9 seeds or more can give a verdict"
    )
    few = config | {"seeds": [0, 1, 2]}
    assert "no better or worse is possible with 3 seeds (the smallest p after Holm's correction is 1)" in str(
        reach(few)
    )
    pairs = reach(config | {"family": "all", "schemes": config["schemes"][:9], "seeds": list(range(10))})
    assert (pairs.family, pairs.smallest, pairs.is_enough) == (36, 36 * 2 / 2**10, False)
    assert reach(config | {"train": {"lr": [0.1, 0.2]}}).family == 18
    assert reach(config | {"train": {"lr": [0.1, 0.2]}, "select": {"seeds": [99]}}).family == 9
    assert "nothing to compare" in str(reach(config | {"schemes": [{}]}))


def test_the_method_names_margin_family_and_target(tmp_path: Path) -> None:
    run = make_run(tmp_path, TWELVE, seeds=10)
    text = " ".join(Findings(run).method)
    assert "±0.01 of final_test_accuracy" in text and "11 comparisons with pytorch_default" in text
    assert "(the median that pytorch_default ends with)" in text
    text = " ".join(Findings(with_config(run, tie_margin=dict.fromkeys(METRICS, 0.02), target=0.9)).method)
    assert "lies within ±0.02;" in text and "first reaches 0.9 (as given)" in text


@pytest.mark.parametrize(
    ("first", "last", "text"),
    [
        (math.nan, 1.0, ""),
        (0.0, 0.0, "no layer gets a gradient"),
        (0.0, 1.0, "the first layer's gradient is 0"),
        (1.0, 0.0, "the last layer's gradient is 0"),
        (3e-5, 1.0, "first layer's gradient 3e-05 of the last's"),
        (2e4, 1.0, "first layer's gradient 2e+04 × the last's"),
        (8e-5, 1e-5, "first and last gradient below 0.001"),
        (0.5, 1.0, "gradients alike: first 0.5 × last"),
    ],
)
def test_why(first: float, last: float, text: str) -> None:
    assert why(first, last) == text


def test_the_curve_is_the_median_of_those_that_did_not_diverge(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["normal"], seeds=5)
    curve = Findings(run).curve("normal", 0.05)
    alive = run.curves[(run.curves["split"] == "train") & ~run.curves["seed"].isin([0, 1])]
    assert curve == pytest.approx(list(alive.groupby("step")["loss"].median()))
    assert pd.Series(curve).notna().all()
