"""`winit diff`: two runs side by side."""

from __future__ import annotations

import math
import shutil
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from commands import refused, winit, winit_json, write

from winit_cli.findings.differences import config_differences, shown
from winit_cli.store.digest import sign


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small run twice, one with more seeds, one with other rates and labels, one of another model and task."""
    home = tmp_path_factory.mktemp("home")
    other: dict[str, Any] = {
        "model": {"name": "mlp", "width": 6, "depth": 2},
        "schemes": ["zeros", {"scheme": "normal", "label": "kaiming_normal", "std": 1e30}],
        "train": {"lr": [0.1, 0.3], "batch_size": 16, "steps": 4},
    }
    adding = {"model": "lstm", "data": {"name": "adding", "length": 4, "train_size": 64, "test_size": 16}}
    for name, changes, options in (
        ("base", {}, ()),
        ("base", {}, ("--fresh",)),
        ("more", {"seeds": 4}, ()),
        ("other", other, ()),
        ("adding", adding, ()),
    ):
        path = write(home / "c.yaml", name=name, measure={"probe": 0}, **changes)
        assert winit("run", path, "--results", home / "results", *options).exit_code == 0
    return home


@pytest.fixture(autouse=True)
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def run_of(name: str, number: str = "") -> Path:
    (found,) = Path("results").glob(f"{name}-????????{number}")
    return found


def said(*runs: object) -> str:
    result = winit("diff", *runs)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    return str(result.stdout)


def sentences(*runs: object) -> str:
    """What is printed, however it is wrapped."""
    return " ".join(said(*runs).split())


def test_the_same_experiment_twice_differs_in_nothing() -> None:
    text = sentences(run_of("base"), run_of("base", "-2"))
    assert "config: no difference" in text and "environment: no difference" in text
    assert "4 trials in both runs: 4 began with the same weights, 4 ended with the same numbers" in text
    found = winit_json("diff", run_of("base"), run_of("base", "-2"))
    assert found["config"] == {} and found["same_data"]
    assert found["same_trials"] == {"trials": 4, "copied": 0, "begun": 4, "unfinished": 0, "ended": 4, "largest": {}}
    assert {row["difference"] for row in found["results"]} == {0}


def test_results_are_those_of_the_summaries() -> None:
    found = winit_json("diff", "more", "other")
    summaries = [pd.read_csv(run_of(name) / "summary.csv") for name in ("more", "other")]
    keys = {(row["label"], row["lr"], row["metric"]) for row in found["results"]}
    assert len(keys) == len(found["results"])
    for side, summary in zip("ab", summaries, strict=True):
        assert keys >= set(zip(summary["label"], summary["lr"], summary["metric"], strict=True))
        rows = {(row["label"], row["lr"], row["metric"]): row for row in found["results"]}
        for wanted in summary.to_dict("records"):
            row = rows[wanted["label"], wanted["lr"], wanted["metric"]]
            assert (row[f"n_{side}"], row[f"diverged_{side}"]) == (wanted["n"], wanted["diverged"])
            mean = row[f"mean_{side}"]
            assert math.isnan(wanted["mean"]) if mean is None else mean == wanted["mean"]
    zeros = next(row for row in found["results"] if row["label"] == "zeros" and row["mean_a"] and row["mean_b"])
    assert zeros["difference"] == zeros["mean_b"] - zeros["mean_a"]


def test_what_differs_stands_side_by_side() -> None:
    found = winit_json("diff", "more", "other")
    assert found["config"] == {
        "model.depth": {"a": 1, "b": 2},
        "train.lr": {"a": [0.1], "b": [0.1, 0.3]},
        "seeds": {"a": [0, 1, 2, 3], "b": [0, 1]},
        "labels": {"a": ["kaiming_normal", "zeros"], "b": ["zeros", "kaiming_normal"]},
        "baseline": {"a": "kaiming_normal", "b": "zeros"},
        "scheme kaiming_normal": {
            "a": {"scheme": "kaiming_normal", "a": 0.0, "mode": "fan_in", "nonlinearity": "leaky_relu"},
            "b": {"scheme": "normal", "mean": 0.0, "std": 1e30},
        },
    }
    lines = [line.split() for line in said("more", "other").splitlines()]
    assert ["model.depth", "1", "2"] in lines
    assert ["kaiming_normal", "0.3", "-", "diverged", "-"] in lines
    assert "no trial is in both runs" in said("more", "other")


def test_where_each_run_has_one_rate_labels_are_held_against_each_other() -> None:
    write(Path("c.yaml"), name="faster", measure={"probe": 0}, train={"lr": [0.2], "batch_size": 16, "steps": 4})
    assert winit("run", "c.yaml").exit_code == 0
    found = winit_json("diff", run_of("base"), "faster")
    assert found["config"] == {"train.lr": {"a": [0.1], "b": [0.2]}}
    assert {(row["lr_a"], row["lr_b"]) for row in found["results"]} == {(0.1, 0.2)}
    assert all(row["difference"] == row["mean_b"] - row["mean_a"] for row in found["results"])


def test_copied_trials_are_told_apart() -> None:
    text = sentences(run_of("base"), "more")
    assert "4 trials in both runs (4 copied from one run to another): 4 began with the same weights" in text


def test_other_examples_make_no_difference_of_results() -> None:
    found = winit_json("diff", run_of("base"), "adding")
    assert not found["same_data"] and found["metric"] == "final_test_loss"
    assert {row["difference"] for row in found["results"]} == {None}
    assert [key for key in found["config"] if key.startswith("model.")][:2] == ["model.name", "model.width"]
    text = said(run_of("base"), "adding")
    assert "the runs had other examples" in text and "B - A" not in text


def test_what_came_out_otherwise_is_told_with_its_trial(tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(run_of("base"), changed)
    connection = sqlite3.connect(changed / "run.sqlite")
    with connection:
        connection.execute("UPDATE trials SET final_test_loss = final_test_loss + 0.25, init_hash = 'x' WHERE id = 1")
        connection.execute("UPDATE trials SET final_test_loss = final_test_loss - 0.125 WHERE id = 2")
        sign(connection, [1, 2])
    connection.close()
    text = sentences(run_of("base"), changed)
    assert "4 trials in both runs: 3 began with the same weights, 2 ended with the same numbers" in text
    assert "largest difference of final_test_loss: 0.25, kaiming_normal/0.1/1" in text
    assert winit_json("diff", run_of("base"), changed)["same_trials"]["largest"] == {
        "final_test_loss": ["kaiming_normal/0.1/1", pytest.approx(0.25)]
    }


@pytest.mark.parametrize("columns", [80, 60])
def test_it_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = said("more", "adding").splitlines()[2:]
    assert max(map(len, lines)) <= columns
    assert any(line.startswith("kaiming_normal") for line in lines)


def test_mistakes_are_refused(tmp_path: Path) -> None:
    assert "name two runs" in refused("diff", "more", run_of("more"))
    assert "'base' means more than one run" in refused("diff", "base", "more")
    assert "no run 'adding-0' under results; did you mean 'adding-" in refused("diff", "more", "adding-0")
    missing = winit("diff", "more")
    assert missing.exit_code == 2 and "Missing argument 'B'" in missing.stderr
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "run.sqlite").write_bytes(b"not a database" * 1000)
    result = winit("diff", "more", broken)
    assert result.exit_code == 1 and "file is not a database" in result.stderr


def test_trials_that_have_not_ended_are_said_to_be_so(tmp_path: Path) -> None:
    unfinished = []
    for name, trials in (("none", "1"), ("some", "id < 2")):
        unfinished.append(tmp_path / name)
        shutil.copytree(run_of("base"), unfinished[-1])
        connection = sqlite3.connect(unfinished[-1] / "run.sqlite")
        with connection:
            connection.execute(
                "UPDATE trials SET status = 'pending', outcome = NULL, final_train_loss = NULL, "
                f"final_test_loss = NULL, final_test_accuracy = NULL WHERE {trials}"
            )
            sign(connection, [0, 1, 2, 3])
        connection.close()
    shutil.copytree(unfinished[0], tmp_path / "again")
    text = sentences(unfinished[0], tmp_path / "again")
    assert "4 trials in both runs: 4 began with the same weights, 4 did not end in both" in text
    assert "same numbers" not in text and "results: no trial has ended in either run" in text
    assert "half of the 95 % interval" not in text
    text = " ".join(said(unfinished[1], run_of("base")).split())
    assert "4 began with the same weights, 2 ended with the same numbers, 2 did not end in both" in text


def test_what_is_compared_are_values() -> None:
    data = {"fingerprint": "same", "task": "classification"}

    def differs(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
        configs = [{"train": {}, "schemes": [], **config} for config in (one, other)]
        return dict(config_differences([SimpleNamespace(config=config, data=data, env={}) for config in configs]))

    one, other = [[4, 4], [4, 8]], [[4], [4, 4, 8]]
    assert differs({"vary": {"model.channels": one}}, {"vary": {"model.channels": other}}) == {
        "vary.model.channels": [one, other]
    }
    assert [shown(one), shown(other)] == ["[4, 4], [4, 8]", "[4], [4, 4, 8]"]
    assert differs({"train": {"loss": "binary_cross_entropy"}}, {}) == {
        "train.loss": ["binary_cross_entropy", "cross_entropy"]
    }
    assert differs({"train": {"loss": "cross_entropy"}}, {}) == {}
    assert differs({"model": {"norm": None}}, {"model": {"norm": "batch"}}) == {"model.norm": [None, "batch"]}
