"""`winit export RUN --to parquet`, read back by pandas and pyarrow."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pandas as pd
import pytest
from commands import refused, run_named, winit, winit_json, write

pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
from pyarrow import parquet

from winit_cli.export import parquet as exporting

TYPES = {"string": str, "double": float, "int64": int}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs with claims, a validation part and trials that diverge, and with rates that are selected."""
    home = tmp_path_factory.mktemp("home")
    schemes = ["kaiming_normal", {"scheme": "normal", "label": "too large", "std": 1e30}]
    data = {"name": "gaussian", "features": 8, "classes": 3, "train_size": 64, "test_size": 16, "val_size": 16}
    train = {"lr": [0.1, 0.2], "batch_size": 16, "steps": 4}
    changes = {"schemes": schemes, "data": data, "train": train}
    for name, more in (
        ("plain", {"claims": ["kaiming_normal final_test_loss[lr=0.1] < 9"]}),
        ("selected", {"select": {"seeds": [100, 101]}}),
    ):
        config = write(home / "c.yaml", name=name, **changes, **more)
        assert winit("run", config, "--results", home / "results").exit_code == 0
    return home


def texts(frame: pd.DataFrame) -> list[list[str]]:
    """Cells as text; those that are blank in a CSV file are empty."""
    return [["" if pd.isna(cell) else str(cell) for cell in row] for row in frame.astype(object).to_numpy()]


@pytest.mark.parametrize("name", ["plain", "selected"])
def test_there_is_a_file_per_table_with_what_the_csv_has(there: Path, home: Path, name: str) -> None:
    run = run_named(home, name)
    assert winit_json("export", name, "--to", "parquet") == {"written": f"{run.name}-parquet"}
    written = sorted(Path(f"{run.name}-parquet").iterdir())
    assert [path.name for path in written] == sorted(f"{path.stem}.parquet" for path in run.glob("*.csv"))
    for path in written:
        csv = pd.read_csv(run / f"{path.stem}.csv", dtype={"init_hash": str, "copied_from": str, "p": float})
        found = pd.read_parquet(path)
        assert list(found.columns) == list(csv.columns)
        numbers = [column for column in csv if pd.api.types.is_float_dtype(csv[column])]
        assert texts(found.astype(dict.fromkeys(numbers, float))) == texts(csv), path.stem


def test_columns_have_types_and_blanks_are_null(there: Path, home: Path) -> None:
    assert winit("export", "plain", "all", "--to", "parquet").exit_code == 0
    types = {path.stem: parquet.read_schema(path) for path in Path("all").iterdir()}
    for stem, table in types.items():
        assert {str(field.type) for field in table} <= TYPES.keys(), stem
    assert [str(types["trials"].field(name).type) for name in ("trial", "lr", "seed", "diverged_step")] == [
        *("string", "double", "int64", "int64")
    ]
    assert [str(types["comparisons"].field(name).type) for name in ("lr", "n", "p")] == ["double", "int64", "double"]
    assert str(types["best_lr"].field("decades").type) == "double"
    trials = parquet.read_table("all/trials.parquet")
    verdicts = parquet.read_table("all/verdicts.parquet")
    assert {"healthy", "exploding"} & set(verdicts["verdict"].to_pylist())
    assert verdicts["layer"].null_count == verdicts["metric"].null_count > 0
    assert not any("" in column.to_pylist() for column in verdicts.columns)
    assert trials["final_val_loss"].null_count == trials["diverged_step"].length() - trials["diverged_step"].null_count


def test_selected_rates_are_text(there: Path) -> None:
    assert winit("export", "selected", "all", "--to", "parquet").exit_code == 0
    rates = parquet.read_table("all/comparisons.parquet")["lr"].to_pylist()
    assert set(rates) == {"0.1", "0.2", "selected"}


def test_a_table_without_rows_keeps_its_types(there: Path) -> None:
    assert winit("export", "selected", "all", "--to", "parquet").exit_code == 0
    claims = parquet.read_table("all/claims.parquet")
    assert claims.num_rows == 0
    assert [str(field.type) for field in claims.schema] == [
        *("string", "string", "int64", "double", "double", "double", "double", "string")
    ]


def test_tables_are_written_row_group_by_row_group(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "ROWS", 7)
    assert winit("export", "plain", "all", "--to", "parquet").exit_code == 0
    curves = parquet.ParquetFile("all/curves.parquet")
    rows = [curves.metadata.row_group(index).num_rows for index in range(curves.num_row_groups)]
    assert set(rows[:-1]) == {7} and 0 < rows[-1] <= 7
    steps = curves.read()["step"].to_pylist()
    assert steps[:3] == sorted(steps[:3])


def changed_run(directory: Path, run: Path, statement: str) -> Path:
    """A run's store in another directory, changed by SQL."""
    directory.mkdir()
    (directory / "run.sqlite").write_bytes((run / "run.sqlite").read_bytes())
    connection = sqlite3.connect(directory / "run.sqlite")
    with connection:
        connection.execute(statement)
    connection.close()
    return directory


def test_texts_are_not_guarded_against_spreadsheets(there: Path, home: Path) -> None:
    changed = changed_run(there / "changed", run_named(home, "plain"), "UPDATE verdicts SET advice = '=1+1'")
    winit("export", changed, "all", "--to", "parquet")
    assert set(pd.read_parquet("all/verdicts.parquet")["advice"]) == {"=1+1"}


def test_a_damaged_trial_is_left_out_and_said(there: Path, home: Path) -> None:
    statement = "UPDATE curves SET loss = loss + 1 WHERE trial_id = 1 AND step = 0"
    damaged = changed_run(there / "damaged", run_named(home, "plain"), statement)
    result = winit("export", damaged, "some", "--to", "parquet")
    assert result.exit_code == 1 and "left out as damaged: trial kaiming_normal/0.1/1" in result.stderr
    assert "kaiming_normal/0.1/1" not in set(pd.read_parquet("some/curves.parquet")["trial"])
    assert len(set(pd.read_parquet("some/trials.parquet")["trial"])) == 7


def test_mistakes_are_refused(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (there / "mine").write_text("mine")
    assert "mine exists and is left as it is" in refused("export", "plain", "mine", "--to", "parquet")
    assert "--seed does not go with --to parquet" in refused("export", "plain", "--to", "parquet", "--seed", 0)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    message = refused("export", "plain", "--to", "parquet")
    assert message.endswith("needs pyarrow, which is not installed here; get it with: pip install 'winit[parquet]'")
