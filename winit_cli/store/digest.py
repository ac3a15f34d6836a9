"""Hashes over what the store holds, so that a damaged byte is never read as a number.

SQLite notices damage to its own structure, not to the values in it. Each trial has a SHA-256 over all of its rows, and
so have the facts of the run. They are renewed in the transaction that changes the rows.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable

from winit_cli.store.schema import COSTS, DETAILS, PROBE, QUERIES, tables_in

META_KEY = "digest"
PROBED = "probed"  # the fact of the run that says what was measured before training


def trial_digest(connection: sqlite3.Connection, trial: int) -> str:
    """SHA-256 over the row of a trial and all rows that belong to it."""
    found = hashlib.sha256()
    row = connection.execute("SELECT * FROM trials WHERE id = ?", (trial,))
    names = [column[0] for column in row.description]
    facts = dict(zip(names, row.fetchone(), strict=True))
    facts.pop("digest", None)
    found.update(repr(sorted(facts.items())).encode())
    if COSTS in tables_in(connection):
        for cost in connection.execute(f"SELECT * FROM {COSTS} WHERE trial_id = ?", (trial,)):
            found.update(repr(cost).encode())
    for table in (*DETAILS, "checkpoints"):
        found.update(table.encode())
        rows = connection.execute(f"SELECT * FROM {table} WHERE trial_id = ? ORDER BY 1, 2, 3", (trial,))
        if table in ("units", "checkpoints"):  # long bytes, in the last column
            for *others, data in rows:
                found.update(repr(others).encode())
                found.update(data if isinstance(data, bytes) else repr(data).encode())
        else:
            found.update(repr(rows.fetchall()).encode())
    return found.hexdigest()


def sign(connection: sqlite3.Connection, trials: Iterable[int]) -> None:
    """Renew the digests of trials, inside a transaction."""
    for trial in trials:
        connection.execute("UPDATE trials SET digest = ? WHERE id = ?", (trial_digest(connection, trial), trial))


def damaged_trials(connection: sqlite3.Connection, trials: Iterable[int] | None = None) -> list[int]:
    """Those of the given trials, or of all, whose rows are not what was recorded.

    Raises:
        sqlite3.Error: the file is damaged in its structure.
    """
    if trials is None:
        trials = [trial for (trial,) in connection.execute("SELECT id FROM trials ORDER BY id").fetchall()]
    recorded = dict(connection.execute("SELECT id, digest FROM trials").fetchall())
    return [trial for trial in trials if recorded[trial] != _found_digest(connection, trial)]


def _found_digest(connection: sqlite3.Connection, trial: int) -> str:
    """Blank where the rows cannot even be read."""
    try:
        return trial_digest(connection, trial)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "decode" not in str(error):
            raise
        return ""


def meta_digest(connection: sqlite3.Connection) -> str:
    """SHA-256 over the facts of the run."""
    rows = connection.execute("SELECT key, value FROM meta WHERE key != ? ORDER BY key", (META_KEY,)).fetchall()
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def is_meta_whole(connection: sqlite3.Connection) -> bool:
    """Whether the facts of the run are what was recorded."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (META_KEY,)).fetchone()
    return row is not None and row[0] == f'"{meta_digest(connection)}"'


def probe_digest(connection: sqlite3.Connection) -> str:
    """SHA-256 over all that was measured before training."""
    found = hashlib.sha256()
    for name in PROBE:
        for row in connection.execute(QUERIES[name]):
            found.update(repr(row).encode())
    return found.hexdigest()


def was_probed(connection: sqlite3.Connection) -> bool:
    """Whether anything was measured before training, as far as was recorded."""
    row = _probed(connection)
    return row is not None and bool(json.loads(row[0])["trials"])


def _probed(connection: sqlite3.Connection) -> tuple[str] | None:
    found: tuple[str] | None = connection.execute("SELECT value FROM meta WHERE key = ?", (PROBED,)).fetchone()
    return found


def is_probe_whole(connection: sqlite3.Connection) -> bool:
    """Whether what was measured before training, if anything was, is what was recorded."""
    row = _probed(connection)
    try:
        return row is None or json.loads(row[0])["sha256"] == probe_digest(connection)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and "decode" not in str(error):
            raise
        return False
