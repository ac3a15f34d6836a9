"""Finished trials of equal identity are copied from other runs, not trained again."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from small import Heard, bytes_of, plan_of, rows, run_of

from winit_cli.findings import Findings
from winit_cli.findings.notices import notices
from winit_cli.report.page import page
from winit_cli.runner import run_plan
from winit_cli.setting import FORMAT
from winit_cli.store.frames import read_run
from winit_cli.store.reading import FILE
from winit_cli.store.runs import finished_elsewhere
from winit_cli.store.store import Store

TWO = ("schemes=[kaiming_normal, zeros]",)


def test_extending_trains_only_what_is_missing(tmp_path: Path) -> None:
    """To the same bits with the serial engine; stacks of other trials may round differently."""
    serial = "engine=serial"
    first = run_of(tmp_path / "grown", *TWO, serial)
    heard = Heard()
    settings = ("schemes=[ones, kaiming_normal, zeros]", "seeds=3", "train.lr=[0.1, 0.2]", serial)
    grown = run_of(tmp_path / "grown", *settings, heard=heard)
    whole = run_of(tmp_path / "whole", *settings)
    assert heard.notes[:2] == [f"4 copied from {first.directory.name}", "14 to train"]
    assert len(heard.done) == 14
    for table in ("curves", "gradients", "init", "summary"):
        assert rows(grown, table) == rows(whole, table)
    for ours, theirs in zip(rows(grown, "trials"), rows(whole, "trials"), strict=True):
        old = ours["lr"] == "0.1" and ours["seed"] != "2" and ours["label"] != "ones"
        assert ours.pop("copied_from") == (first.directory.name if old else "")
        assert theirs.pop("copied_from") == "" and ours == theirs
    one, two = (read_run(result.directory).units for result in (grown, whole))
    assert list(one["trial"]) == list(two["trial"])
    assert all((a == b).all() for a, b in zip(one["values"], two["values"], strict=True))


def test_copied_trials_name_the_run_that_trained_them(tmp_path: Path) -> None:
    first = run_of(tmp_path, "seeds=1")
    run_of(tmp_path, "seeds=2")
    third = run_of(tmp_path, "seeds=3")
    sources = [row["copied_from"] for row in rows(third, "trials")]
    assert sources[0] == first.directory.name and sources[2] == ""
    assert rows(third, "timings")[0]["trial"] == "kaiming_normal/0.1/2"


def test_another_label_for_the_same_training_is_copied(tmp_path: Path) -> None:
    first = run_of(tmp_path)
    heard = Heard()
    second = run_of(tmp_path, "schemes=[{scheme: he_normal, label: mine}]", heard=heard)
    assert heard.done == [] and second.directory != first.directory
    assert {row["label"] for row in rows(second, "curves")} == {"mine"}


@pytest.mark.parametrize(
    "changed",
    ["train.batch_size=9", "train.steps=7", "data.seed=1", "measure.every=3", "model.width=7", "train.clip_norm=9.0"],
)
def test_what_training_depends_on_is_not_copied(changed: str, tmp_path: Path) -> None:
    run_of(tmp_path)
    heard = Heard()
    run_of(tmp_path, changed, heard=heard)
    assert len(heard.done) == 2


def test_fresh_trains_everything_in_a_sibling(tmp_path: Path) -> None:
    first = run_of(tmp_path)
    heard = Heard()
    second = run_of(tmp_path, fresh=True, heard=heard)
    third = run_of(tmp_path, fresh=True)
    assert len(heard.done) == 2
    assert [r.directory.name for r in (second, third)] == [f"{first.directory.name}-{n}" for n in (2, 3)]
    assert bytes_of(first) == bytes_of(second) == bytes_of(third)


def test_copying_does_not_wait_for_whoever_writes_the_other_run(tmp_path: Path) -> None:
    first = run_of(tmp_path)
    writer = sqlite3.connect(first.directory / FILE, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM curves")
    began = time.monotonic()
    second = run_of(tmp_path, "seeds=3")
    assert time.monotonic() - began < 30
    writer.execute("ROLLBACK")
    writer.close()
    assert rows(second, "curves", seed=0) == rows(first, "curves", seed=0)


def test_a_damaged_run_beside_it_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "other-12345678").mkdir()
    (tmp_path / "other-12345678" / FILE).write_bytes(b"not a database at all" * 100)
    assert run_of(tmp_path).counts["ok"] == 2
    assert finished_elsewhere(tmp_path, (), []) == {}


def test_run_names_are_deterministic_and_say_what_is_in_them() -> None:
    name = plan_of().name
    assert re.fullmatch(r"small-[0-9a-f]{8}", name)
    same = ["checkpoint_seconds=3", "baseline=kaiming_normal", "seeds=[0, 1]", "train.lr=[0.1]", "engine=stacked"]
    for setting in same:
        assert plan_of(setting).name == name, setting
    others = ("seeds=3", "train.lr=0.2", "schemes=[zeros]", "model.bias=false", "precision=bf16", "data.seed=2")
    for setting in (*others, "engine=serial"):
        assert plan_of(setting).name != name, setting


def test_identities_are_those_of_the_training() -> None:
    def identity(*settings: str) -> str:
        return plan_of(*settings).trials[0].identity

    assert identity("schemes=[kaiming]") == identity("schemes=[{scheme: he_normal, label: x}]") == identity()
    assert identity("train={steps: 6, batch_size: 8, lr: 0.1, momentum: 0}") == identity()
    assert identity("train={epochs: 1, batch_size: 8, lr: 0.1}") == identity()
    assert identity("train.nesterov=false") == identity()
    momentum = ("train.momentum=0.9",)
    assert identity(*momentum, "train.nesterov=true") != identity(*momentum, "train.nesterov=false")
    assert identity("train.optimizer=adam") == identity("train.optimizer=adam", "train.weight_decay=0")
    assert identity("train.optimizer=adamw") != identity("train.optimizer=adamw", "train.weight_decay=0")
    assert identity("schemes=[{scheme: xavier, gain: relu}]") == identity("schemes=[{scheme: xavier, gain: auto}]")


def test_identities_of_earlier_versions_stay() -> None:
    """An option that came later and is not used has no part in them: what was trained before it is found."""
    trial = plan_of("train.momentum=0.9", "engine=serial").trials[0]
    train = {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.0, "betas": None, "batch_size": 8, "steps": 6}
    parts = {
        "format": FORMAT,
        "model": trial.setting.experiment.model.flat(),
        "data": trial.setting.dataset.fingerprint,
        "scheme": asdict(trial.entry.recipe),
        "train": {**train, "schedule": "constant", "warmup": 0, "clip_norm": None, "lr": 0.1},
        "seed": 0,
        "measure": [2, 3],
        "engine": "serial",
        "precision": "fp32",
        "device": "cpu",
    }
    text = json.dumps(parts, sort_keys=True, default=list)
    assert trial.identity == hashlib.sha256(text.encode()).hexdigest()


def test_plans_with_one_training_twice_agree(tmp_path: Path) -> None:
    plan = plan_of("schemes=[kaiming_normal, {scheme: kaiming_normal, label: again}]")
    run_plan(plan_of(), tmp_path, Heard())
    result = run_plan(plan, tmp_path, Heard())
    one, two = (
        [row["final_test_loss"] for row in rows(result, "trials", label=name)] for name in ("kaiming_normal", "again")
    )
    assert one == two and result.counts["ok"] == 4


def test_every_label_of_one_training_is_copied(tmp_path: Path) -> None:
    twice = ("schemes=[kaiming_normal, {scheme: kaiming_normal, label: again}]",)
    run_of(tmp_path, *twice)
    heard = Heard()
    run_of(tmp_path, *twice, "name=other", heard=heard)
    assert heard.notes[-1] == "0 to train" and heard.done == []


def test_what_copied_trials_ran_on_is_said_where_it_differs(tmp_path: Path) -> None:
    first = run_of(tmp_path)
    with Store(first.directory) as store:
        store.set_meta(env=store.meta("env") | {"torch": "1.0", "threads": 99})
    heard = Heard()
    grown = run_of(tmp_path, "seeds=3", heard=heard)
    assert any("torch 1.0, not" in note and "threads 99, not" in note for note in heard.notes)
    assert "torch 1.0" in read_run(grown.directory).env["copied"][0]


def test_the_report_keeps_saying_that_seeds_were_added(tmp_path: Path) -> None:
    for settings in (("seeds=2",), ("seeds=3",), ("seeds=3", "schemes=[kaiming_normal, zeros]")):
        result = run_of(tmp_path, *settings)
    assert any("Seeds were added" in text for text in notices(read_run(result.directory)))


def test_an_unfinished_fresh_run_goes_on(tmp_path: Path) -> None:
    run_of(tmp_path)
    second = run_of(tmp_path, fresh=True)
    with Store(second.directory) as store:
        store.connection.execute("UPDATE trials SET status = 'pending' WHERE id = 1")
        store.write_status("interrupted")
    heard = Heard()
    assert run_of(tmp_path, fresh=True, heard=heard).directory == second.directory
    assert len(heard.done) == 1


def test_the_config_of_a_varied_run_gives_the_same_run(tmp_path: Path) -> None:
    depths = ("vary.model.depth=[1, 2]",)
    batches = ("vary.train.batch_size=[5, 10]", "train={epochs: 1, lr: 0.1}")
    nesterov = ("vary.train.nesterov=[false, true]", "train.momentum=0.9")
    for settings in (depths, batches, nesterov):
        result = run_of(tmp_path, *settings)
        again = run_of(tmp_path, text=(result.directory / "config.yaml").read_text())
        assert again.was_complete and again.directory == result.directory
        assert "steps" in page(Findings(read_run(result.directory)), {}) or "epochs" in page(
            Findings(read_run(result.directory)), {}
        )
