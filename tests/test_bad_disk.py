"""A disk that refuses: exit code 1, the directory and the cure named, no half of a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import winit, write

pytestmark = pytest.mark.usefixtures("no_sets")  # an empty working directory


def _file_in_the_way(results: Path) -> None:
    results.write_text("not a directory")


def _file_above(results: Path) -> None:
    results.parent.write_text("not a directory")


@pytest.mark.parametrize("prepare", [_file_in_the_way, _file_above], ids=["a file in the way", "a file above"])
def test_results_directory_that_cannot_be_made(prepare: Callable[[Path], None], tmp_path: Path) -> None:
    results = tmp_path / "results" if prepare is _file_in_the_way else tmp_path / "above" / "results"
    prepare(results)
    before = sorted(tmp_path.rglob("*"))
    result = winit("run", write(tmp_path / "c.yaml"), "--results", results)
    assert result.exit_code == 1
    assert f"cannot use {results}" in result.stderr
    assert "choose another directory with --results" in result.stderr
    assert result.stdout == ""
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "c.yaml"])


def test_results_directory_that_refuses_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    result = winit("run", write(tmp_path / "c.yaml"), "--results", tmp_path / "r")
    assert result.exit_code == 1
    assert "Permission denied. What was recorded before is kept; free space or fix the permission" in result.stderr


def test_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sqlite3.connect

    class Full(sqlite3.Connection):
        def commit(self) -> None:
            raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", lambda *a, **k: real(*a, **{**k, "factory": Full}))
        result = winit("run", write(tmp_path / "c.yaml"))
    assert result.exit_code == 1
    assert "database or disk is full. What was recorded before is kept" in result.stderr
    again = winit("run", "c.yaml")
    assert again.exit_code == 0, again.stderr


def test_store_that_is_damaged(tmp_path: Path) -> None:
    assert winit("run", write(tmp_path / "c.yaml")).exit_code == 0
    (run,) = Path("results").iterdir()
    (run / "run.sqlite").write_bytes(b"not a database" * 1000)
    result = winit("run", "c.yaml")
    assert result.exit_code == 1
    assert "file is not a database" in result.stderr
    assert winit("list", "runs").exit_code == 0
    assert winit("report").exit_code in (1, 2)
