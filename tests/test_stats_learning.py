"""How fast trials learn and which rates are best, against numpy and counting by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pandas import DataFrame

from winit_cli.stats import Rules, best_rates, comparisons, derived_targets, learning, mean_interval, with_learning


def trials(losses: dict[tuple[str, float], list[float]], **columns: object) -> DataFrame:
    """Trials of (label, lr) with these losses by seed; NaN is a diverged one."""
    rows = [
        {
            "trial": f"{label}/{lr}/{seed}",
            "label": label,
            "lr": lr,
            "seed": seed,
            "status": "diverged" if math.isnan(loss) else "ok",
            "outcome": "diverged" if math.isnan(loss) else "learned",
            **dict.fromkeys(("final_train_loss", "final_val_loss", "final_test_loss"), loss),
            "final_test_accuracy": 1 - loss,
        }
        for (label, lr), values in losses.items()
        for seed, loss in enumerate(values)
    ]
    return DataFrame(rows).assign(**columns)


def curves(by_trial: dict[str, list[tuple[int, float, float]]], split: str) -> DataFrame:
    """Step, loss and accuracy of trials."""
    rows = [(trial, split, *point) for trial, points in by_trial.items() for point in points]
    return DataFrame(rows, columns=["trial", "split", "step", "loss", "accuracy"])


def test_the_area_is_numpys_trapezoid_whatever_the_steps() -> None:
    frame = trials({("a", 0.1): [0.1, 0.2, math.nan], ("b", 0.1): [0.3]})
    source, steps = np.random.default_rng(0), [0, 5, 10, 30, 31]
    losses = {trial: source.random(5) for trial in frame["trial"]}
    points = {trial: [(s, v, 0.0) for s, v in zip(steps, values, strict=True)] for trial, values in losses.items()}
    found = with_learning(frame, curves(points, "train"), {}, "classification").set_index("trial")["loss_area"]
    for trial, values in losses.items():
        lost = trial == "a/0.1/2"
        assert found[trial] == (math.inf if lost else pytest.approx(np.trapezoid(values, steps)))
    table = learning(with_learning(frame, curves(points, "train"), {}, "classification"), ["a", "b"])
    alive = [np.trapezoid(losses[f"a/0.1/{seed}"], steps) for seed in (0, 1)]
    assert table.loc[0, "loss_area"] == pytest.approx(np.mean(alive))
    assert (table.loc[0, "area_low"], table.loc[0, "area_high"]) == pytest.approx(mean_interval(alive))
    assert table["steps_to_target"].isna().all() and table["target"].isna().all()


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_steps_to_target_are_the_first_and_a_miss_is_infinite(task: str) -> None:
    frame = trials({("a", 0.1): [0.1, 0.2, 0.3, math.nan, 0.1]})
    frame.loc[4, ["status", "outcome"]] = "pending"
    reached = {  # accuracy, or 1 - loss
        "a/0.1/0": [(0, 0.1), (50, 0.8), (100, 0.7)],
        "a/0.1/1": [(0, 0.1), (50, 0.79), (100, 0.9)],
        "a/0.1/2": [(0, 0.1), (50, 0.2), (100, 0.3)],
        "a/0.1/3": [(0, 0.1)],
        "a/0.1/4": [(0, 0.9)],
    }
    points = curves({trial: [(s, 1 - v, v) for s, v in values] for trial, values in reached.items()}, "test")
    target = 0.8 if task == "classification" else 1 - 0.8
    found = with_learning(frame, points, {"": target}, task)
    assert list(found["steps_to_target"])[:4] == [50, 100, math.inf, math.inf] and found["steps_to_target"].isna()[4]
    table = learning(found, ["a"]).iloc[0]
    assert (table["n"], table["reached"], table["steps_to_target"]) == (4, 2, math.inf)


@pytest.mark.parametrize(
    ("steps", "median"),
    [([50.0], 50), ([50.0, 100.0], 100), ([50.0, 100.0, math.inf], 100), ([50.0, math.inf], math.inf)],
)
def test_the_median_is_the_upper_of_two(steps: list[float], median: float) -> None:
    frame = trials({("a", 0.1): [0.1] * len(steps)}, target=0.5, loss_area=1.0)
    assert learning(frame.assign(steps_to_target=steps), ["a"]).loc[0, "steps_to_target"] == median


def test_the_target_is_the_median_of_the_baseline_at_its_best_rate() -> None:
    frame = trials({("base", 0.1): [0.5, 0.4, 0.2], ("base", 1.0): [0.6, 0.7, 0.9], ("a", 0.1): [0.0] * 3})
    assert derived_targets(frame, ["base", "a"], "base", "regression") == {"": 0.4}
    assert derived_targets(frame, ["base", "a"], "base", "classification") == {"": 0.6}
    stuck = frame.assign(outcome=["learned", "stuck", "stuck"] * 3)
    assert derived_targets(stuck, ["base", "a"], "base", "regression") == {}


def test_a_baseline_without_finite_results_gives_no_target() -> None:
    frame = trials({("base", 0.1): [0.5, 0.4]}).assign(final_test_loss=math.inf, final_test_accuracy=None)
    assert derived_targets(frame, ["base"], "base", "regression") == {}
    assert derived_targets(frame, ["base"], "base", "classification") == {}


GRID = {
    ("a", 0.001): [1.09, 1.11],  # 1.10: within 10 % of 1.0
    ("a", 0.01): [1.0, 1.0],
    ("a", 0.1): [1.2, 1.2],
    ("a", 1.0): [1.0, 1.05],  # near, but beyond a worse one
    ("b", 0.001): [2.0, 2.0],
    ("b", 0.01): [1.5, math.nan],  # counts as (1.5, 3)
    ("b", 0.1): [2.1, 2.1],
    ("b", 1.0): [3.0, math.nan],
}


def test_the_best_rate_and_its_decades_by_hand() -> None:
    table = best_rates(trials(GRID), ["a", "b"], "final_val_loss", chosen_on="seeds").set_index("label")
    assert table.loc["a", ["lr", "n", "diverged", "mean"]].tolist() == [0.01, 2, 0, 1.0]
    assert table.loc["a", "decades"] == pytest.approx(1.0)
    assert table.loc["b", ["lr", "mean"]].tolist() == [0.001, 2.0]
    assert table.loc["b", "decades"] == 0.0  # its neighbour lost a trial


def test_decades_of_accuracies_are_of_what_is_lost_from_the_best() -> None:
    accuracies = {("a", 0.01): [0.2], ("a", 0.1): [0.27], ("a", 1.0): [0.29]}  # 0.8, 0.73, 0.71; 90 % is 0.72
    table = best_rates(trials(accuracies), ["a"], "final_test_accuracy", chosen_on="seeds")
    assert table.loc[0, ["lr", "decades"]].tolist() == pytest.approx([0.01, 1.0])


def test_a_label_of_which_all_diverged_has_a_rate_and_no_mean() -> None:
    table = best_rates(trials({("a", 0.1): [math.nan], ("a", 1.0): [math.nan]}), ["a"], "final_val_loss", chosen_on="")
    assert table.loc[0, ["lr", "diverged", "decades"]].tolist() == [0.1, 1, 0.0] and math.isnan(table.loc[0, "mean"])


def test_labels_are_compared_at_rates_selected_on_other_seeds() -> None:
    selection = trials({("base", 0.1): [1.0], ("base", 1.0): [2.0], ("a", 0.1): [3.0], ("a", 1.0): [1.0]})
    best = best_rates(selection, ["base", "a"], "final_val_loss", chosen_on="select.seeds")
    selected = dict(zip(best["label"], best["lr"], strict=True))
    assert selected == {"base": 0.1, "a": 1.0}
    main = trials(
        {("base", 0.1): [1.0, 1.2], ("base", 1.0): [0.0, 0.0], ("a", 0.1): [0.0, 0.0], ("a", 1.0): [1.5, 1.9]}
    )
    table = comparisons(main, ["base", "a"], Rules("base", selected=selected))
    loss = table[table["metric"] == "final_val_loss"]
    assert loss[["lr", "family"]].to_numpy().tolist() == [["selected", 1], [0.1, 2], [1.0, 2]]
    assert loss["difference"].tolist() == pytest.approx([0.6, -1.1, 1.7])
