"""The store: the tables it writes, who can read them meanwhile, and what is said when it cannot."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from small import Heard, plan_of, rows, run_of

from winit_cli.engine.records import Chunk, Norms, Point
from winit_cli.errors import StorageError, UsageError
from winit_cli.plan import Trial
from winit_cli.store import store as store_module
from winit_cli.store.files import write_csv, write_text
from winit_cli.store.frames import read_run
from winit_cli.store.reading import FILE
from winit_cli.store.runs import find_run, run_facts
from winit_cli.store.store import Store
from winit_cli.verify import verify

COLUMNS = {
    "trials": "trial,label,scheme,lr,seed,status,outcome,final_train_loss,final_val_loss,final_test_loss,"
    "final_test_accuracy,diverged_step,init_hash,copied_from",
    "curves": "trial,label,lr,seed,step,split,loss,accuracy",
    "gradients": "trial,label,lr,seed,step,param,grad_norm",
    "init": "trial,label,seed,param,shape,scheme,rule,fan_in,fan_out,gain,mean,std,expected_std,min,max,sha256",
    "summary": "label,lr,metric,n,diverged,mean,median,iqm,sd,ci_low,ci_high",
    "comparisons": "label_a,label_b,lr,metric,n,difference,ci_low,ci_high,p,p_holm,probability_of_improvement,verdict",
    "claims": "claim,metric,n,effect,ci_low,ci_high,p,verdict",
    "ranks": "label,lr,metric,rank,rank_low,rank_high,of",
    "learning": "label,lr,target,n,reached,steps_to_target,loss_area,area_low,area_high",
    "best_lr": "label,metric,chosen_on,lr,n,diverged,mean,ci_low,ci_high,decades",
    "probe": "label,seed,layer,depth,metric,value",
    "verdicts": "label,verdict,layer,metric,value,advice",
    "histograms": "label,seed,layer,depth,quantity,low,high,count",
}
TWO = ("schemes=[kaiming_normal, zeros]",)


def test_columns_are_the_contracts(tmp_path: Path) -> None:
    result = run_of(tmp_path, *TWO, "data.val_size=8")
    for table, columns in COLUMNS.items():
        assert (result.directory / f"{table}.csv").read_text().splitlines()[0] == columns
    frames = read_run(result.directory)
    for table in ("trials", "curves", "gradients", "init", "probe", "verdicts", "histograms"):
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


def test_a_table_is_written_row_by_row_and_replaces_the_old_one_whole(tmp_path: Path) -> None:
    def made(rows: int) -> Iterator[tuple[int, str]]:
        for number in range(rows):
            seen.append(sum(path.stat().st_size for path in tmp_path.iterdir()))
            yield number, "a" * 1000
        if rows == 300:
            raise KeyboardInterrupt

    seen: list[int] = []
    write_csv(tmp_path / "t.csv", ["n", "text"], made(200))
    assert seen[0] == 0 < seen[-1], "much is on disk before the last row is asked for"
    before = (tmp_path / "t.csv").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_csv(tmp_path / "t.csv", ["n", "text"], made(300))
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert (tmp_path / "t.csv").read_bytes() == before


def test_a_run_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    seen = []

    class Reader(Heard):
        def advance(self, updates: int) -> None:
            (directory,) = tmp_path.iterdir()
            seen.append((dict(read_run(directory).trials["status"].value_counts()), run_facts(directory)["status"]))

        def trial_done(self, trial: Trial, status: str, final: float | None) -> None:
            self.advance(0)

    run_of(tmp_path, heard=Reader())
    assert [counts.get("ok", 0) for counts, _ in seen][-1] == 2
    assert {status["state"] for _, status in seen} == {"running"}


def test_what_waits_to_be_committed_does_not_lock_readers_out(tmp_path: Path) -> None:
    directory = run_of(tmp_path).directory
    with Store(directory) as store:
        norms = [Norms(step, [0.5] * 6) for step in range(1000, 3000)]
        store.chunk(0, Chunk(3000, [Point(step, "train", 1.0, None) for step in range(1000, 2000)], norms), 1.0)
        before = len(read_run(directory).gradients)
        store.commit([0])
        assert len(read_run(directory).gradients) == before + 12_000


def test_a_damaged_store_is_one_clear_error(tmp_path: Path) -> None:
    directory = tmp_path / plan_of().name
    directory.mkdir()
    (directory / FILE).write_bytes(b"not a database at all" * 100)
    with pytest.raises(StorageError, match="file is not a database"):
        run_of(tmp_path)
    with pytest.raises(StorageError, match="cannot be read as a run of winit"):
        read_run(directory)


def test_a_run_of_an_earlier_version_is_whole(tmp_path: Path) -> None:
    result = run_of(tmp_path)
    with Store(result.directory) as store:
        store.connection.executescript("DROP TABLE costs; DROP TABLE warnings")
    table = result.directory / "timings.csv"
    old = [{"trial": row["trial"], "seconds": row["seconds"]} for row in rows(result, "timings")]
    write_csv(table, list(old[0]), [tuple(row.values()) for row in old])
    assert [finding.what for finding in verify(result.directory) if not finding.is_whole] == []
    assert list(read_run(result.directory).timings) == ["trial", "seconds"]
    assert read_run(result.directory).warnings.empty
    assert rows(run_of(tmp_path, "seeds=3"), "trials")[0]["copied_from"] == result.directory.name


def test_a_missing_run_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="unable to open database file"):
        read_run(tmp_path)
    assert list(tmp_path.iterdir()) == []


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


def test_runs_are_found_by_name_prefix_and_path(tmp_path: Path) -> None:
    one = run_of(tmp_path, "name=alpha").directory
    two = run_of(tmp_path, "name=beta").directory
    assert find_run(tmp_path, None) == two
    assert find_run(tmp_path, "alp") == find_run(tmp_path, one.name) == one
    assert find_run(tmp_path, str(two)) == two
    with pytest.raises(UsageError, match="means more than one run"):
        find_run(tmp_path, "")
    assert run_of(tmp_path, "name=alpha_cnn").directory != find_run(tmp_path, "alpha") == one
    with pytest.raises(UsageError, match=r"no run 'gamma' under .*alpha"):
        find_run(tmp_path, "gamma")
    with pytest.raises(UsageError, match="no runs under"):
        find_run(tmp_path / "none", None)


def test_a_directory_whose_name_is_awkward(tmp_path: Path) -> None:
    results = tmp_path / "a b%20#?é"
    run_of(results)
    assert run_of(results, "seeds=3").counts["ok"] == 3
    assert len(read_run(find_run(results, None)).trials) == 3


def test_a_run_is_read_with_the_gradients_of_some_steps(tmp_path: Path) -> None:
    directory = run_of(tmp_path, *TWO).directory
    whole, part = read_run(directory), read_run(directory, steps=(0, 4))
    kept = whole.gradients[whole.gradients["step"].isin((0, 4))].reset_index(drop=True)
    assert len(kept) < len(whole.gradients) and part.gradients.equals(kept)
    assert len(part.units) == 0 and list(part.units.columns) == list(whole.units.columns)
    for table in ("trials", "curves", "init", "timings"):
        assert getattr(part, table).equals(getattr(whole, table))
    assert read_run(directory, steps=(0,)).weight_gradients["step"].unique().tolist() == [0]
