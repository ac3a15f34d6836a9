"""Files written whole and renamed into place, and one message where the disk refuses."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from winit_cli.errors import StorageError


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn what the operating system or SQLite refuses into a ``StorageError`` that names the path."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StorageError(
            f"cannot use {path}: {reason}. What was recorded before is kept; free space or fix the permission "
            "(or choose another directory with --results) and run the same command again"
        ) from None


def sqlite_uri(path: Path, mode: str = "rw") -> str:
    """SQLite's address of a file that exists.

    Readers open it ``rw`` too: what a killed process left half-written can then be rolled back, which ``ro``
    refuses with an error. On a read-only disk SQLite falls back to reading by itself.
    """
    return f"{path.resolve().as_uri()}?mode={mode}"


def write_text(path: Path, text: str) -> None:
    """Write a file next to its place and rename it there, so that readers see the old or the new whole."""
    with refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            beside.write_text(text, encoding="utf-8", newline="")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Write JSON, keys in the given order."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table. Numbers are Python's shortest text that reads back to the same double; none is blank."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    write_text(path, text.getvalue())


def _cell(value: Any) -> str:
    if value is None or value != value:
        return ""
    return repr(float(value)) if isinstance(value, float) else str(value)
