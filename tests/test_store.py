"""The store: what is kept when something fails, what is copied, and the tables it writes."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small import BASE, DETERMINISTIC, Heard, plan_of, rows, run_of
from typer.testing import CliRunner

from winit_cli import runner
from winit_cli.cli import app
from winit_cli.data.dataset import Dataset
from winit_cli.engine.records import Chunk, Norms, Point
from winit_cli.engine.serial import train_trial
from winit_cli.errors import StorageError, UsageError
from winit_cli.plan import Trial
from winit_cli.runner import Result, run_plan
from winit_cli.store import store as store_module
from winit_cli.store.files import write_csv, write_text
from winit_cli.store.frames import read_run
from winit_cli.store.runs import find_run, finished_elsewhere, run_facts
from winit_cli.store.store import FILE, Store

COLUMNS = {
    "trials": "trial,label,scheme,lr,seed,status,outcome,final_train_loss,final_val_loss,final_test_loss,"
    "final_test_accuracy,diverged_step,init_hash,copied_from",
    "curves": "trial,label,lr,seed,step,split,loss,accuracy",
    "gradients": "trial,label,lr,seed,step,param,grad_norm",
    "init": "trial,label,seed,param,shape,scheme,rule,fan_in,fan_out,gain,mean,std,expected_std,min,max,sha256",
    "summary": "label,lr,metric,n,diverged,mean,median,iqm,sd,ci_low,ci_high",
}
TWO = ("schemes=[kaiming_normal, zeros]",)


class Stop(BaseException):
    """Something that ends the process, like Ctrl-C."""


def _break(monkeypatch: pytest.MonkeyPatch, key: str, error: BaseException, after: int = 2) -> None:
    """Make the trial ``key`` raise after so many records (its start and a chunk, say)."""

    def broken(trial: Trial, data: Dataset) -> Iterator[Any]:
        for index, record in enumerate(train_trial(trial, data)):
            if trial.key == key and index == after:
                raise error
            yield record

    monkeypatch.setattr(runner, "train_trial", broken)


def _bytes(result: Result) -> dict[str, bytes]:
    return {table: (result.directory / f"{table}.csv").read_bytes() for table in DETERMINISTIC}


def test_columns_are_the_contracts(tmp_path: Path) -> None:
    result = run_of(tmp_path, *TWO, "data.val_size=8")
    for table, columns in COLUMNS.items():
        assert (result.directory / f"{table}.csv").read_text().splitlines()[0] == columns
    frames = read_run(result.directory)
    for table in ("trials", "curves", "gradients", "init"):
        assert ",".join(getattr(frames, table).columns) == COLUMNS[table]
    names = {path.name for path in result.directory.iterdir() if not path.name.startswith(".")}
    tables = {f"{table}.csv" for table in (*COLUMNS, "timings")}
    assert names == tables | {FILE, "config.yaml", "env.json", "status.json"}


def test_rows_stand_in_the_order_of_the_config(tmp_path: Path) -> None:
    result = run_of(tmp_path, "schemes=[zeros, kaiming_normal]", "train.lr=[0.2, 0.1]", "seeds=[3, 1]")
    keys = [f"{s}/{lr}/{seed}" for s in ("zeros", "kaiming_normal") for lr in (0.2, 0.1) for seed in (3, 1)]
    assert [row["trial"] for row in rows(result, "trials")] == keys
    for table in ("curves", "gradients", "init"):
        assert list(dict.fromkeys(row["trial"] for row in rows(result, table))) == keys
    first = rows(result, "gradients", trial=keys[0], step=0)
    assert [row["param"] for row in first] == [row["param"] for row in rows(result, "init", trial=keys[0])]
    steps = [(int(row["step"]), row["split"]) for row in rows(result, "curves", trial=keys[0])]
    assert steps == sorted(steps, key=lambda point: (point[0], ["train", "val", "test"].index(point[1])))


def test_csv_numbers_read_back_to_the_stored_doubles(tmp_path: Path) -> None:
    result = run_of(tmp_path)
    with sqlite3.connect(result.directory / FILE) as connection:
        stored = [value for (value,) in connection.execute("SELECT grad_norm FROM gradients ORDER BY 1")]
    connection.close()
    assert sorted(float(row["grad_norm"]) for row in rows(result, "gradients")) == stored


def test_cells(tmp_path: Path) -> None:
    values = [0.1, 1e-300, 5e-324, 1 / 3, 1e22, 123456789.0, -0.0, None, float("nan"), 3, "a,b", 'quote"']
    write_csv(tmp_path / "t.csv", ["c"], [[value] for value in values])
    text = (tmp_path / "t.csv").read_bytes()
    assert b"\r" not in text
    cells = [row[0] if row else "" for row in csv.reader(text.decode().splitlines()[1:])]
    assert [float(cell) for cell in cells[:7]] == values[:7]
    assert cells[6:] == ["-0.0", "", "", "3", "a,b", 'quote"']


def test_a_failing_trial_is_recorded_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = _bytes(run_of(tmp_path / "whole", *TWO))
    with monkeypatch.context() as patch:
        _break(patch, "kaiming_normal/0.1/1", RuntimeError("no luck"))
        heard = Heard()
        # commit every chunk, so that the failed trial has rows on disk
        result = run_of(tmp_path / "broken", *TWO, "checkpoint_seconds=1e-9", heard=heard)
    assert result.counts == {"ok": 3, "diverged": 0, "failed": 1, "pending": 0}
    assert "kaiming_normal/0.1/1 failed: RuntimeError: no luck" in heard.notes
    (failed,) = rows(result, "trials", status="failed")
    assert (failed["trial"], failed["outcome"], failed["init_hash"]) == ("kaiming_normal/0.1/1", "", "")
    for table in ("curves", "gradients", "init"):
        assert rows(result, table, trial="kaiming_normal/0.1/1") == []
    assert json.loads((result.directory / "status.json").read_text())["state"] == "failed"

    again = Heard()
    repaired = run_of(tmp_path / "broken", *TWO, "checkpoint_seconds=1e-9", heard=again)
    assert again.done == [("kaiming_normal/0.1/1", "ok")]
    assert _bytes(repaired) == wanted
    assert json.loads((result.directory / "status.json").read_text())["state"] == "complete"


def test_a_failed_trial_exits_1_and_the_same_command_trains_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "small.yaml"
    config.write_text(BASE)
    command = ["run", str(config), "--results", str(tmp_path / "results")]
    with monkeypatch.context() as patch:
        _break(patch, "kaiming_normal/0.1/0", RuntimeError("no luck"))
        broken = CliRunner().invoke(app, command)
    assert broken.exit_code == 1
    assert "no luck" in broken.stderr and "Traceback" not in broken.stderr
    assert CliRunner().invoke(app, command).exit_code == 0


@pytest.mark.parametrize("after", [1, 2, 3])
@pytest.mark.parametrize("seconds", [1e-9, 15])
def test_an_interrupted_run_resumes_to_the_same_bytes(
    after: int, seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (*TWO, f"checkpoint_seconds={seconds}")
    wanted = _bytes(run_of(tmp_path / "whole", *settings))
    with monkeypatch.context() as patch:
        _break(patch, "kaiming_normal/0.1/1", Stop(), after)
        with pytest.raises(Stop):
            run_of(tmp_path / "broken", *settings)
    directory = next((tmp_path / "broken").iterdir())
    assert json.loads((directory / "status.json").read_text()) == {
        "state": "interrupted",
        "trials": {"ok": 1, "diverged": 0, "failed": 0, "pending": 3},
    }
    heard = Heard()
    result = run_of(tmp_path / "broken", *settings, heard=heard)
    assert heard.begun == (4, 1, 6)
    assert _bytes(result) == wanted


def test_a_killed_run_can_be_read_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kill leaves half of a transaction in the file, and the journal that takes it back."""
    wanted = _bytes(run_of(tmp_path / "whole"))
    with monkeypatch.context() as patch:
        _break(patch, "kaiming_normal/0.1/1", Stop())
        with pytest.raises(Stop):
            run_of(tmp_path / "killed")
    directory = next((tmp_path / "killed").iterdir())
    killed = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 5")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE trials SET status = 'ok'")
connection.executemany("INSERT INTO gradients VALUES (1, ?, 0, 0.5)", [(step,) for step in range(100, 4000)])
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", killed, directory / FILE], check=False).returncode == 9
    assert (directory / f"{FILE}-journal").stat().st_size > 0
    assert list(read_run(directory).trials["status"]) == ["ok", "pending"]
    assert run_facts(directory)["status"]["state"] == "interrupted"
    assert _bytes(run_of(tmp_path / "killed")) == wanted


def test_a_run_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    seen = []

    class Reader(Heard):
        def advance(self, steps: int) -> None:
            super().advance(steps)
            (directory,) = tmp_path.iterdir()
            seen.append((dict(read_run(directory).trials["status"].value_counts()), run_facts(directory)["status"]))

    run_of(tmp_path, heard=Reader())
    assert [counts.get("ok", 0) for counts, _ in seen][-1] == 2
    assert {status["state"] for _, status in seen} == {"running"}


def test_a_long_transaction_does_not_lock_readers_out(tmp_path: Path) -> None:
    directory = run_of(tmp_path).directory
    store = Store(directory, commit_seconds=1000)
    norms = [Norms(step, [0.5] * 6) for step in range(1000, 30_000)]
    store.chunk(0, Chunk(30_000, [Point(step, "train", 1.0, None) for step in range(1000, 2000)], norms))
    assert store.connection.in_transaction
    began = time.monotonic()
    assert len(read_run(directory).trials) == 2
    assert time.monotonic() - began < 30
    store.close()


def test_extending_trains_only_what_is_missing(tmp_path: Path) -> None:
    first = run_of(tmp_path / "grown", *TWO)
    heard = Heard()
    settings = ("schemes=[ones, kaiming_normal, zeros]", "seeds=3", "train.lr=[0.1, 0.2]")
    grown = run_of(tmp_path / "grown", *settings, heard=heard)
    whole = run_of(tmp_path / "whole", *settings)
    assert heard.notes == [f"4 copied from {first.directory.name}", "14 to train"]
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
    assert _bytes(first) == _bytes(second) == _bytes(third)


def test_a_complete_run_is_not_trained_again(tmp_path: Path) -> None:
    first, heard = run_of(tmp_path), Heard()
    before = _bytes(first)
    second = run_of(tmp_path, heard=heard)
    assert (first.was_complete, second.was_complete) == (False, True)
    assert heard.done == [] and heard.notes == [] and _bytes(second) == before


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
    assert finished_elsewhere(tmp_path, tmp_path / "x", []) == {}


def test_a_damaged_store_is_one_clear_error(tmp_path: Path) -> None:
    directory = tmp_path / plan_of().name
    directory.mkdir()
    (directory / FILE).write_bytes(b"not a database at all" * 100)
    with pytest.raises(StorageError, match="file is not a database"):
        run_of(tmp_path)
    with pytest.raises(StorageError, match="cannot be read as a run of winit"):
        read_run(directory)


def test_a_missing_run_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="unable to open database file"):
        read_run(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_what_was_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(Store):
        def finish(self, *args: Any) -> None:
            super().finish(*args)
            (pages,) = self.connection.execute("PRAGMA page_count").fetchone()
            self.connection.execute(f"PRAGMA max_page_count = {pages}")

    wanted = _bytes(run_of(tmp_path / "whole", "measure.every=1", "train.steps=60"))
    with monkeypatch.context() as patch:
        patch.setattr(runner, "Store", Full)
        with pytest.raises(StorageError, match=r"cannot use .*: database or disk is full\. What was recorded before"):
            run_of(tmp_path / "full", "measure.every=1", "train.steps=60")
    heard = Heard()
    result = run_of(tmp_path / "full", "measure.every=1", "train.steps=60", heard=heard)
    assert heard.done == [("kaiming_normal/0.1/1", "ok")]
    assert _bytes(result) == wanted


def test_results_that_cannot_be_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot use .*file.*--results"):
        run_of(tmp_path / "file")


def test_files_are_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "t.csv", "old")
    monkeypatch.setattr(Path, "replace", lambda self, target: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(StorageError, match="No space left"):
        write_text(tmp_path / "t.csv", "new")
    assert (tmp_path / "t.csv").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_too_many_gradient_rows_stay_in_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "GRADIENT_ROWS_EXPORTED", 10)
    heard = Heard()
    result = run_of(tmp_path, heard=heard)
    assert heard.notes == [f"gradients.csv is not written: 48 rows stay in {FILE}"]
    assert not (result.directory / "gradients.csv").exists()
    assert len(read_run(result.directory).gradients) == 48


def test_run_names_are_deterministic_and_say_what_is_in_them() -> None:
    name = plan_of().name
    assert re.fullmatch(r"small-[0-9a-f]{8}", name)
    same = ["checkpoint_seconds=3", "baseline=kaiming_normal", "seeds=[0, 1]", "train.lr=[0.1]", "engine=serial"]
    for setting in same:
        assert plan_of(setting).name == name, setting
    for setting in ("seeds=3", "train.lr=0.2", "schemes=[zeros]", "model.bias=false", "precision=bf16", "data.seed=2"):
        assert plan_of(setting).name != name, setting


def test_identities_are_those_of_the_training() -> None:
    def identity(*settings: str) -> str:
        return plan_of(*settings).trials[0].identity

    assert identity("schemes=[kaiming]") == identity("schemes=[{scheme: he_normal, label: x}]") == identity()
    assert identity("train={steps: 6, batch_size: 8, lr: 0.1, momentum: 0}") == identity()
    assert identity("train={epochs: 1, batch_size: 8, lr: 0.1}") == identity()
    assert identity("train.optimizer=adam") == identity("train.optimizer=adam", "train.weight_decay=0")
    assert identity("train.optimizer=adamw") != identity("train.optimizer=adamw", "train.weight_decay=0")
    assert identity("schemes=[{scheme: xavier, gain: relu}]") == identity(
        "schemes=[{scheme: xavier, gain: auto}]"
    )


def test_runs_are_found_by_name_prefix_and_path(tmp_path: Path) -> None:
    one = run_of(tmp_path, "name=alpha").directory
    two = run_of(tmp_path, "name=beta").directory
    assert find_run(tmp_path, None) == two
    assert find_run(tmp_path, "alp") == find_run(tmp_path, one.name) == one
    assert find_run(tmp_path, str(two)) == two
    with pytest.raises(UsageError, match="means more than one run"):
        find_run(tmp_path, "")
    with pytest.raises(UsageError, match="no run 'gamma' under .*alpha"):
        find_run(tmp_path, "gamma")
    with pytest.raises(UsageError, match="no runs under"):
        find_run(tmp_path / "none", None)


def test_a_directory_whose_name_is_awkward(tmp_path: Path) -> None:
    results = tmp_path / "a b%20#?é"
    run_of(results)
    assert run_of(results, "seeds=3").counts["ok"] == 3
    assert len(read_run(find_run(results, None)).trials) == 3


def test_plans_with_one_training_twice_agree(tmp_path: Path) -> None:
    plan = plan_of("schemes=[kaiming_normal, {scheme: kaiming_normal, label: again}]")
    run_plan(plan_of(), tmp_path, Heard())
    result = run_plan(plan, tmp_path, Heard())
    one, two = ([row["final_test_loss"] for row in rows(result, "trials", label=l)] for l in ("kaiming_normal", "again"))
    assert one == two and result.counts["ok"] == 4
