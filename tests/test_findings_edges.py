"""Runs at the edges of what there can be: an answer that claims nothing false, and no warning (pytest raises them)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from frames import TWELVE, make_run

from winit_cli.findings import Findings
from winit_cli.stats import METRICS
from winit_cli.store.frames import RunFrames

FINALS = list(METRICS)


def with_config(run: RunFrames, **config: object) -> RunFrames:
    return dataclasses.replace(run, config=run.config | config)


def unfinished(run: RunFrames, *, lost: Callable[[str, int], bool], status: str) -> RunFrames:
    """The run without the results of trials (label, seed)."""
    trials = run.trials.copy()
    gone = np.array([lost(label, seed) for label, seed in zip(trials["label"], trials["seed"], strict=True)])
    trials.loc[gone, ["status", "outcome"]] = [status, ""]
    trials.loc[gone, FINALS] = None
    curves = run.curves[~run.curves["trial"].isin(trials.loc[gone, "trial"])]
    return dataclasses.replace(run, trials=trials, curves=curves)


def one_seed(path: Path) -> RunFrames:
    return make_run(path, TWELVE, seeds=1)


def one_label(path: Path) -> RunFrames:
    return make_run(path, ["kaiming_normal"], seeds=5)


def one_trial(path: Path) -> RunFrames:
    return make_run(path, ["kaiming_normal"], seeds=1)


def all_diverged(path: Path) -> RunFrames:
    return make_run(path, ["ones", "ones@home"], seeds=3)


def rates(path: Path) -> RunFrames:
    return make_run(path, ["kaiming_normal", "normal", "zeros"], seeds=6, lrs=(0.01, 0.1, 1.0))


def selected_rates(path: Path) -> RunFrames:
    run = rates(path)
    selection = make_run(path, run.labels, seeds=2, lrs=(0.01, 0.1, 1.0)).trials.assign(final_val_loss=1.0)
    selection = selection[selection["label"] != "zeros"]  # not selected yet
    return with_config(
        dataclasses.replace(run, selection=selection), select={"metric": "final_val_loss", "seeds": [100, 101]}
    )


def some_pending(path: Path) -> RunFrames:
    run = make_run(path, TWELVE, seeds=10, state="running")
    return unfinished(run, lost=lambda label, seed: seed > len(label) % 9, status="pending")


def a_failed_baseline(path: Path) -> RunFrames:
    run = make_run(path, ["pytorch_default", "kaiming_normal", "zeros"], seeds=10)
    return unfinished(run, lost=lambda label, seed: label == "pytorch_default", status="failed")


def a_lone_baseline(path: Path) -> RunFrames:
    run = make_run(path, ["pytorch_default", "kaiming_normal", "zeros"], seeds=10)
    return unfinished(run, lost=lambda label, seed: label != "pytorch_default" or seed > 0, status="failed")


def nothing_finished(path: Path) -> RunFrames:
    return unfinished(make_run(path, state="running"), lost=lambda label, seed: True, status="pending")


def no_common_seeds(path: Path) -> RunFrames:
    run = make_run(path, ["pytorch_default", "kaiming_normal"], seeds=10)
    return unfinished(run, lost=lambda label, seed: (label == "kaiming_normal") == (seed < 5), status="failed")


def variants(path: Path) -> RunFrames:
    labels = [f"{scheme}@depth={depth}" for depth in (2, 9) for scheme in ("kaiming_normal", "normal", "zeros")]
    run = with_config(make_run(path, labels, seeds=7), baseline="kaiming_normal", vary={"model.depth": [2, 9]})
    return unfinished(run, lost=lambda label, seed: label.endswith("=9"), status="pending")


def variant_without_baseline(path: Path) -> RunFrames:
    run = with_config(variants(path), baseline="zeros")
    return unfinished(run, lost=lambda label, seed: label.startswith("zeros@depth=2"), status="failed")


def regression(path: Path) -> RunFrames:
    return with_config(make_run(path, TWELVE, seeds=6, task="regression"), target=0.05)


def no_results(path: Path) -> RunFrames:
    """Training went well, and no loss or accuracy of it is finite."""
    run = make_run(path, ["pytorch_default", "kaiming_normal"], seeds=6)
    return dataclasses.replace(run, trials=run.trials.assign(**dict.fromkeys(FINALS)))


def infinite_losses(path: Path) -> RunFrames:
    run = make_run(path, ["pytorch_default", "kaiming_normal", "zeros"], seeds=6)
    trials, curves = run.trials.copy(), run.curves.copy()
    trials["final_test_loss"] = trials["final_test_loss"].where(trials["seed"] > 1, math.inf)
    trials["final_train_loss"] = trials["final_train_loss"].where(trials["seed"] > 1, 3e38)
    curves["loss"] = curves["loss"].where(curves["step"] < 50, math.inf)
    return dataclasses.replace(run, trials=trials, curves=curves)


def mapped_margin(path: Path) -> RunFrames:
    margins = {"final_test_loss": 0.5, "final_test_accuracy": 1.0}
    return with_config(make_run(path, TWELVE, seeds=10), tie_margin=margins, family="all")


EDGES = [
    *(one_seed, one_label, one_trial, all_diverged, rates, selected_rates, some_pending, a_failed_baseline),
    *(a_lone_baseline, nothing_finished, no_common_seeds, variants, variant_without_baseline, regression, no_results),
    *(infinite_losses, mapped_margin),
]


@pytest.mark.parametrize("edge", EDGES)
def test_every_part_of_the_findings_is_there(tmp_path: Path, edge: Callable[[Path], RunFrames]) -> None:
    run = edge(tmp_path)
    found = Findings(run)
    table = found.standings
    assert found.method and found.sentences and str(found.reach) and found.notices is not None
    assert len(table) == sum(len(run.config["train"]["lr"]) for _ in run.labels) or run.config.get("select")
    assert set(table["verdict"]) <= {"baseline", "better", "worse", "tied", "undecided", ""}
    assert ((table["rank_low"] <= table["rank"]) & (table["rank"] <= table["rank_high"])).all()
    assert (table["rank_high"] <= table["of"]).all() and (table["seeds_needed"].dropna() >= 2).all()
    undecided = table["verdict"] == "undecided"
    assert table.loc[~undecided, "seeds_needed"].isna().all()
    for text in (*found.sentences, *found.method, *found.notices):
        assert "nan" not in text and "inf " not in text and "None" not in text, text
    for table in found.tables.files().values():
        assert table is not None
    assert all(math.isfinite(loss) for loss in found.curve(run.labels[0], run.config["train"]["lr"][0]))


def said(run: RunFrames) -> str:
    return "\n".join(Findings(run).sentences)


def test_a_tie_is_said_also_where_nothing_else_can_be_decided(tmp_path: Path) -> None:
    run = make_run(tmp_path, ["zeros", "zeros@home", "kaiming_normal"], seeds=3)
    text = said(run)
    assert "no better or worse" not in text
    assert "Against zeros: zeros@home is tied; kaiming_normal is undecided (about 7 seeds would probably" in text


def test_nothing_is_said_of_the_seeds_needed_where_nobody_knows(tmp_path: Path) -> None:
    assert (
        said(a_lone_baseline(tmp_path)).count("Against pytorch_default: kaiming_normal and zeros are undecided.") == 1
    )
    assert "would hardly decide" not in said(no_common_seeds(tmp_path))


def test_labels_that_diverge_at_every_seed_are_tied_where_another_has_results(tmp_path: Path) -> None:
    table = Findings(all_diverged(tmp_path)).standings
    assert list(table["verdict"]) == ["baseline", ""] and list(table["rank"]) == [1, 1]
    run = make_run(tmp_path, ["ones", "ones@home", "zeros"], seeds=3)
    table = Findings(run).standings.set_index("label")
    assert table.loc["ones@home", "verdict"] == "tied" and table.loc["zeros", "rank"] == 1


def test_unfinished_trials_have_no_say(tmp_path: Path) -> None:
    whole = make_run(tmp_path, ["pytorch_default", "kaiming_normal"], seeds=8)
    part = unfinished(whole, lost=lambda label, seed: seed == 7, status="pending")
    seven = make_run(tmp_path, ["pytorch_default", "kaiming_normal"], seeds=7)
    columns = ["label", "n", "rank", "difference", "p_holm", "verdict", "steps_to_target"]
    assert Findings(part).standings[columns].equals(Findings(seven).standings[columns])


def test_results_that_are_not_finite_lose_and_are_never_averaged(tmp_path: Path) -> None:
    table = Findings(infinite_losses(tmp_path)).tables.comparisons.set_index(["label_a", "metric"])
    assert math.isnan(table.loc[("kaiming_normal", "final_test_loss"), "difference"])
    assert math.isfinite(table.loc[("kaiming_normal", "final_test_accuracy"), "difference"])


def test_margins_are_those_of_each_metric(tmp_path: Path) -> None:
    table = Findings(with_config(mapped_margin(tmp_path), family="baseline")).tables.comparisons
    whole = table[table["difference"].notna()]
    assert set(whole.loc[whole["metric"] == "final_test_accuracy", "verdict"]) == {"tied"}
    assert "better" in set(whole.loc[whole["metric"] == "final_train_loss", "verdict"])
    assert set(table["family"]) == {11}
    assert set(Findings(mapped_margin(tmp_path)).tables.comparisons["family"]) == {12 * 11 // 2}
