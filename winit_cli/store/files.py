"""Files written whole and renamed into place, and one message where the disk refuses."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from winit_cli.errors import RefusedError, StorageError

CURE = "winit export RUN --to csv saves what is readable, and --fresh trains it again in a directory beside it"
AGAIN = (
    "What was recorded before is kept; free space or fix the permission (or choose another directory with --results) "
    "and run the same command again"
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that spreadsheets take for a formula


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn what the operating system or SQLite refuses into a ``RefusedError`` that names the path; damage to a store
    is a ``StorageError``."""
    try:
        yield
    except (sqlite3.DatabaseError, OSError) as error:
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            raise StorageError(f"{path} is damaged: {error}; {CURE}") from None
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise RefusedError(path, reason, AGAIN) from None


def sqlite_uri(path: Path, mode: str = "rw") -> str:
    """SQLite's address of a file that exists.

    Readers open it ``rw`` too: what a killed process left half-written can then be rolled back, which ``ro``
    refuses with an error. On a read-only disk SQLite falls back to reading by itself.
    """
    return f"{path.resolve().as_uri()}?mode={mode}"


def check_writable(directory: Path) -> None:
    """Try whether files can be written into a directory, which may yet have to be made; nothing is left behind.

    Raises:
        StorageError: the disk refuses.
    """
    with refusals(directory):
        there = next(path for path in (directory, *directory.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=there):
            pass


def write_text(path: Path, text: str) -> None:
    """Write a text file whole; see :func:`write_bytes`."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file next to its place, wait for the disk and rename it there: readers see the old or the new whole.

    Raises:
        StorageError: the disk refused.
    """
    with _replacing(path) as file:
        file.write(content)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Write JSON, keys in the given order."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table, row by row, since it may be larger than memory. Numbers are Python's shortest text that reads back
    to the same double; none is blank."""
    with _replacing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(value) for value in row] for row in rows)
        text.detach()


def _cell(value: Any) -> Any:
    """What the writer is given, which knows plain numbers and blanks."""
    if isinstance(value, str):
        return plain_cell(value)
    if isinstance(value, float):
        return float(value) if value == value else None
    return value


def plain_cell(text: str) -> str:
    """A text that a spreadsheet would run as a formula, with an apostrophe before it; numbers stay as they are."""
    if not text.startswith(FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text
