"""How a config asks for results to be compared: what is trained for it, what is decided anew, and its faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from small import BASE, plan_of, rows, run_of

from winit_cli.config import parse, resolve
from winit_cli.errors import ConfigError
from winit_cli.store.frames import read_run

GRID = ("schemes=[kaiming_normal, zeros]", "train.lr=[0.1, 0.2]", "data.val_size=10", "seeds=6")


def test_rates_are_selected_on_seeds_of_their_own(tmp_path: Path) -> None:
    result = run_of(tmp_path, *GRID, "select={seeds: [100-102]}")
    best = rows(result, "best_lr")
    assert [(row["label"], row["metric"], row["chosen_on"], row["n"]) for row in best] == [
        ("kaiming_normal", "final_val_loss", "select.seeds", "3"),
        ("zeros", "final_val_loss", "select.seeds", "3"),
    ]
    trials = rows(result, "trials")
    assert len(trials) == 2 * 2 * 9
    chosen = {row["label"]: row["lr"] for row in best}
    for label, lr in chosen.items():
        values = {
            rate: [float(row["final_val_loss"]) for row in trials if (row["label"], row["lr"]) == (label, rate)][6:]
            for rate in ("0.1", "0.2")
        }
        assert lr == min(values, key=lambda rate: sum(values[rate]))
    assert {row["n"] for row in rows(result, "summary")} == {"6"}
    compared = rows(result, "comparisons")
    assert [row["lr"] for row in compared if row["metric"] == "final_test_loss"] == ["selected", "0.1", "0.2"]
    assert {row["n"] for row in compared} == {"6"}
    run = read_run(result.directory)
    assert set(run.trials["seed"]) == set(run.curves["seed"]) == set(range(6))
    assert set(run.selection["seed"]) == {100, 101, 102}


def test_how_results_are_compared_is_decided_anew_without_training(tmp_path: Path) -> None:
    first = run_of(tmp_path, "schemes=[kaiming_normal, zeros, ones]", "seeds=6")
    assert {row["verdict"] for row in rows(first, "comparisons")} != {"tied"}
    again = run_of(tmp_path, "schemes=[kaiming_normal, zeros, ones]", "seeds=6", "tie_margin=1000", "family=all")
    assert again.was_complete and again.directory == first.directory
    compared = rows(again, "comparisons")
    assert {row["verdict"] for row in compared} == {"tied"}
    pairs = [(row["label_a"], row["label_b"]) for row in compared if row["metric"] == "final_test_loss"]
    assert pairs == [("zeros", "kaiming_normal"), ("ones", "kaiming_normal"), ("zeros", "ones")]


def test_best_rates_are_told_only_where_there_are_several(tmp_path: Path) -> None:
    assert rows(run_of(tmp_path, "train.lr=0.1"), "best_lr") == []
    two = run_of(tmp_path, "train.lr=[0.1, 0.2]")
    assert [row["chosen_on"] for row in rows(two, "best_lr")] == ["seeds"]


def test_spans_of_seeds() -> None:
    config = resolve(parse(BASE.replace("seeds: 2", "seeds: [3, 10-12, 7]"), "small.yaml"))
    assert config.base.general.seeds == (3, 10, 11, 12, 7)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "select={seeds: [1-4]}",
            "select.seeds: 1, 2, 3, 4 also under seeds:; rates are selected on seeds of their own",
        ),
        ("select={seeds: [9-4]}", "select.seeds: 9-4: expected the smaller seed first, and at most 100000 seeds"),
        ("select={seeds: [9], metric: loss}", "select.metric: unknown value loss; known: final_train_loss"),
        ("select={}", "select: Select needs the option 'seeds'"),
        ("select=5", "select: expected a mapping of options, got 5"),
        ("family=pairs", "family: unknown value pairs; known: baseline, all"),
        ("tie_margin=-1", "tie_margin: must be at least 0, got -1"),
        ("tie_margin={loss: 1}", "tie_margin: unknown value loss; known: final_train_loss"),
        ("target=high", "target: must be a number, got high"),
    ],
)
def test_faults(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan_of(*GRID, setting)
    assert len(caught.value.faults) == 1 and message in caught.value.faults[0].message


def test_selection_needs_rates_to_choose_from_and_a_part_to_choose_by() -> None:
    with pytest.raises(ConfigError) as caught:
        plan_of("select={seeds: [9]}")
    assert [fault.message for fault in caught.value.faults] == [
        "select: there is only one learning rate; give train.lr a list, or remove select:",
        "select.metric: final_val_loss needs a validation part; set data.val_size",
    ]
