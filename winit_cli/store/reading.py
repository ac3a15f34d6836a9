"""A run's store opened for reading: one moment of it, checked, while another process may be writing."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from winit_cli.errors import StorageError
from winit_cli.store.digest import damaged_trials, is_meta_whole, is_probe_whole
from winit_cli.store.files import CURE, refusals, sqlite_uri
from winit_cli.store.schema import FORMAT

FILE = "run.sqlite"
WAIT_SECONDS = 60
DAMAGE = ("no such", "malformed", "decode", "unsupported", "syntax error")


@contextlib.contextmanager
def reading(path: Path, wait: float = WAIT_SECONDS, *, is_trusted: bool = True) -> Iterator[sqlite3.Connection]:
    """A connection that sees one moment of a run, however many queries are asked; its config and environment are
    unharmed if it ``is_trusted``.

    Raises:
        StorageError: the store is missing, refused by the system, damaged, or made by a newer winit.
    """
    with refusals(path):
        connection = sqlite3.connect(sqlite_uri(path / FILE), uri=True, timeout=wait, isolation_level=None)
    with contextlib.closing(connection), refusals(path), unreadable(path):
        connection.execute("BEGIN")
        check_format(connection, path)
        if is_trusted and has_digests(connection) and not is_meta_whole(connection):
            raise StorageError(
                f"{path / FILE} is damaged: its config and environment are not what was recorded; {CURE}"
            )
        yield connection


@contextlib.contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Turn what damage to a store shows itself as into a ``StorageError``."""
    try:
        yield
    except (sqlite3.DatabaseError, pd.errors.DatabaseError) as error:
        refused = isinstance(error, sqlite3.OperationalError) and not any(text in str(error) for text in DAMAGE)
        if refused:
            raise
        raise StorageError(f"{path / FILE} cannot be read as a run of winit: {error}; {CURE}") from None
    except (KeyError, ValueError, TypeError, OverflowError) as error:
        raise StorageError(f"{path / FILE} cannot be read as a run of winit: {error!r}; {CURE}") from None


def check_format(connection: sqlite3.Connection, path: Path) -> int:
    """The format of a store.

    Raises:
        StorageError: it is newer than what this winit knows.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version not in (0, FORMAT):
        raise StorageError(
            f"{path / FILE} has format {version}, this winit reads up to {FORMAT}: a newer winit wrote it, or it is "
            "damaged; install the winit named in env.json, or train beside it with --fresh"
        )
    return version


def has_digests(connection: sqlite3.Connection) -> bool:
    """Whether the store records what its rows should be; those of the first format do not."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0]) == FORMAT


def refuse_damage(connection: sqlite3.Connection, path: Path) -> None:
    """Raise ``StorageError`` that says which rows are not what was recorded."""
    if not has_digests(connection):
        return
    bad = damaged_trials(connection)
    if bad:
        names = dict(connection.execute("SELECT id, trial FROM trials").fetchall())
        listed = ", ".join(str(names[trial]) for trial in bad[:5]) + (", …" if len(bad) > 5 else "")
        raise StorageError(
            f"{path / FILE} is damaged in {len(bad)} of {len(names)} trials ({listed}); "
            "winit verify shows what is whole, and running its config again trains the damaged trials anew"
        )
    if not is_probe_whole(connection):
        raise StorageError(
            f"{path / FILE} is damaged in what was measured before training; running its config again measures it anew"
        )


def facts_of(connection: sqlite3.Connection) -> dict[str, Any]:
    """What the store says of its run."""
    return {key: json.loads(value) for key, value in connection.execute("SELECT key, value FROM meta")}
