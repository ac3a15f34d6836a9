"""The store of one run: a SQLite file that every measurement is committed to, and the tables made from it."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winit_cli.store.files import refusals, sqlite_uri, write_csv, write_json
from winit_cli.store.schema import DETAILS, FINALS, QUERIES, SQL

if TYPE_CHECKING:
    from winit_cli.engine.records import Array, Chunk, Finished, Started
    from winit_cli.plan import Trial

FILE = "run.sqlite"
TABLES = ("trials", "curves", "gradients", "init", "timings")
GRADIENT_ROWS_EXPORTED = 5_000_000
DONE = ("ok", "diverged")


class Store:
    """Read and write ``run.sqlite`` in a run's directory; trials are named by their position in the plan.

    A chunk is committed once ``commit_seconds`` have passed since the last commit, and at the end of a trial.
    Every method raises ``StorageError`` where the disk refuses; what was committed before stays readable.
    """

    def __init__(self, directory: Path, commit_seconds: float = 15.0) -> None:
        self.directory = directory
        self.commit_seconds = commit_seconds
        self._committed = time.monotonic()
        with refusals(directory):
            directory.mkdir(parents=True, exist_ok=True)
            uri = sqlite_uri(directory / FILE, "rwc")
            self.connection = sqlite3.connect(uri, uri=True, timeout=60, isolation_level=None)
            self.connection.execute("PRAGMA cache_spill = OFF")  # a long transaction must not lock readers out
            self.connection.executescript(SQL)

    def close(self) -> None:
        """Close the file; what was not committed is dropped."""
        self.connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def register(self, trials: Sequence[Trial], meta: dict[str, Any]) -> None:
        """Enter the plan's trials as pending, unless they stand there, and what is known of the run."""
        rows = [(i, t.identity, t.key, t.label, t.entry.recipe.scheme, t.lr, t.seed) for i, t in enumerate(trials)]
        with refusals(self.directory):
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.executemany(
                "INSERT OR IGNORE INTO trials (id, identity, trial, label, scheme, lr, seed) VALUES (?,?,?,?,?,?,?)",
                rows,
            )
            self._set(meta)
            self._commit()

    def set_meta(self, **values: Any) -> None:
        """Set facts of the run (JSON)."""
        with refusals(self.directory):
            self._begin()
            self._set(values)
            self._commit()

    def meta(self, key: str, default: Any = None) -> Any:
        """A fact of the run."""
        rows = self._read("SELECT value FROM meta WHERE key = ?", key)
        return json.loads(rows[0][0]) if rows else default

    def unfinished(self) -> list[int]:
        """Trials that are neither ok nor diverged."""
        return [row[0] for row in self._read("SELECT id FROM trials WHERE status NOT IN ('ok','diverged') ORDER BY id")]

    def failures(self) -> list[str]:
        """Why trials failed, in words."""
        return [
            f"{trial} failed: {why}"
            for trial, why in self._read("SELECT trial, message FROM trials WHERE status = 'failed' ORDER BY id")
        ]

    def counts(self) -> dict[str, int]:
        """Trials by status."""
        found = dict(self._read("SELECT status, count(*) FROM trials GROUP BY status"))
        return {status: found.get(status, 0) for status in ("ok", "diverged", "failed", "pending")}

    def start(self, trial: int, record: Started) -> None:
        """Forget what an interrupted attempt left of a trial, and enter its initialization."""
        with refusals(self.directory):
            self._begin()
            self._forget(trial)
            rows = [(trial, position, *astuple(row)) for position, row in enumerate(record.init)]
            marks = ",".join("?" * 15)
            self.connection.executemany(f"INSERT INTO init VALUES ({marks})", rows)
            self.connection.execute(
                "UPDATE trials SET init_hash = ?, status = 'pending', message = NULL WHERE id = ?",
                (record.init_hash, trial),
            )
            self._units(trial, "start", record.units)

    def chunk(self, trial: int, chunk: Chunk) -> None:
        """Enter the measurements of a chunk."""
        points = [(trial, p.step, p.split, p.loss, p.accuracy) for p in chunk.points]
        norms = [
            (trial, n.step, position, value)
            for n in chunk.norms
            for position, value in enumerate(n.values)
            if value is not None
        ]
        with refusals(self.directory):
            self._begin()
            self.connection.executemany("INSERT INTO curves VALUES (?,?,?,?,?)", points)
            self.connection.executemany("INSERT INTO gradients VALUES (?,?,?,?)", norms)
            if time.monotonic() - self._committed > self.commit_seconds:
                self._commit()

    def finish(self, trial: int, record: Finished, seconds: float) -> None:
        """Enter how a trial ended, and commit."""
        finals = (record.train_loss, record.val_loss, record.test_loss, record.test_accuracy)
        sets = ", ".join(f"{name} = ?" for name in ("status", "outcome", *FINALS, "diverged_step", "seconds"))
        values = (record.status, record.outcome, *finals, record.diverged_step, seconds, trial)
        with refusals(self.directory):
            self._begin()
            self.connection.execute(f"UPDATE trials SET {sets} WHERE id = ?", values)
            if record.status == "ok":  # a diverged trial has no weights worth a picture
                self._units(trial, "end", record.units)
            self._commit()

    def fail(self, trial: int, message: str) -> None:
        """Mark a trial that raised an error; what it had measured is dropped."""
        with refusals(self.directory):
            if self.connection.in_transaction:
                self.connection.rollback()
            self._begin()
            self._forget(trial)
            self.connection.execute(
                "UPDATE trials SET status = 'failed', message = ?, init_hash = NULL WHERE id = ?", (message, trial)
            )
            self._commit()

    def copy(self, other: Path, pairs: Iterable[tuple[int, int]]) -> None:
        """Copy finished trials, as (theirs, ours), from the store of another run."""
        columns = ("status", "outcome", *FINALS, "diverged_step", "init_hash")
        with refusals(self.directory):
            # read-only, or BEGIN IMMEDIATE would wait for whoever is writing the other run
            self.connection.execute("ATTACH DATABASE ? AS other", (sqlite_uri(other / FILE, "ro"),))
            try:
                self._begin()
                for theirs, ours in pairs:
                    self._copy_trial(theirs, ours, columns, other.name)
                self._commit()
            finally:
                if self.connection.in_transaction:
                    self.connection.rollback()
                self.connection.execute("DETACH DATABASE other")

    def export(self) -> list[str]:
        """Write the CSV files; return what was left out of them, in words."""
        left_out = []
        for name in TABLES:
            if name == "gradients" and self._gradient_rows() > GRADIENT_ROWS_EXPORTED:
                left_out.append(f"gradients.csv is not written: {self._gradient_rows():,} rows stay in {FILE}")
                continue
            with refusals(self.directory):
                cursor = self.connection.execute(QUERIES[name])
                write_csv(self.directory / f"{name}.csv", [column[0] for column in cursor.description], cursor)
        return left_out

    def write_status(self, state: str) -> dict[str, Any]:
        """Set the state of the run in the store and in ``status.json``."""
        status = {"state": state, "trials": self.counts()}
        self.set_meta(status=status)
        write_json(self.directory / "status.json", status)
        return status

    def _gradient_rows(self) -> int:
        return int(self._read("SELECT count(*) FROM gradients")[0][0])

    def _copy_trial(self, theirs: int, ours: int, columns: Sequence[str], source: str) -> None:
        sets = ", ".join(f"{c} = (SELECT {c} FROM other.trials WHERE id = :theirs)" for c in columns)
        names = {"theirs": theirs, "ours": ours, "source": source}
        self.connection.execute(
            f"UPDATE trials SET {sets}, message = NULL, copied_from = "
            "coalesce((SELECT copied_from FROM other.trials WHERE id = :theirs), :source) WHERE id = :ours",
            names,
        )
        self._forget(ours)
        for table in DETAILS:
            kept = [row[1] for row in self._read(f"PRAGMA table_info({table})") if row[1] != "trial_id"]
            self.connection.execute(
                f"INSERT INTO {table} (trial_id, {', '.join(kept)}) "
                f"SELECT :ours, {', '.join(kept)} FROM other.{table} WHERE trial_id = :theirs",
                names,
            )

    def _forget(self, trial: int) -> None:
        for table in DETAILS:
            self.connection.execute(f"DELETE FROM {table} WHERE trial_id = ?", (trial,))

    def _units(self, trial: int, moment: str, units: Array) -> None:
        shape = "x".join(map(str, units.shape))
        self.connection.execute(
            "INSERT OR REPLACE INTO units VALUES (?,?,?,?)", (trial, moment, shape, units.astype("<f4").tobytes())
        )

    def _read(self, sql: str, *values: Any) -> list[Any]:
        with refusals(self.directory):
            return self.connection.execute(sql, values).fetchall()

    def _set(self, values: dict[str, Any]) -> None:
        rows = [(key, json.dumps(value)) for key, value in values.items()]
        self.connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def _begin(self) -> None:
        if not self.connection.in_transaction:
            self.connection.execute("BEGIN IMMEDIATE")

    def _commit(self) -> None:
        self.connection.commit()
        self._committed = time.monotonic()
