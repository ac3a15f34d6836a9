"""The store of one run: a SQLite file that every measurement is committed to, and the tables made from it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winit_cli.errors import StorageError
from winit_cli.store.digest import META_KEY, damaged_trials, is_meta_whole, meta_digest, sign
from winit_cli.store.files import CURE, refusals, sqlite_uri, write_csv, write_json
from winit_cli.store.lock import Owner, owner_of, record_of, taken_over
from winit_cli.store.reading import FILE, WAIT_SECONDS, check_format, unreadable
from winit_cli.store.schema import BEGUN, FORMAT, QUERIES, SQL, TABLES, Kept
from winit_cli.store.statements import Statements, copied, ended, forgotten, joined, measured, numbers, started

if TYPE_CHECKING:
    from winit_cli.engine.records import Chunk, Finished, Started
    from winit_cli.plan import Trial

GRADIENT_ROWS_EXPORTED = 5_000_000
DONE = ("ok", "diverged")
JOINED_AT_ONCE = 100  # trials of a shard


class Store:
    """Read and write ``run.sqlite`` in a run's directory; trials are named by their position in the plan.

    What trials yield waits in memory until they are given to ``commit``, which enters it in one short transaction:
    measurements and the checkpoint that continues behind them are there both or neither. With an ``owner`` (see
    ``store.lock``) every transaction begins by asking whether another process has taken the run over. Methods raise
    ``StorageError`` where the disk refuses; what was committed before stays readable.
    """

    def __init__(self, directory: Path, owner: Owner | None = None) -> None:
        self.directory = directory
        self.owner = owner
        self._is_open = False
        self._waiting: dict[int, Statements] = {}
        with refusals(directory), unreadable(directory):
            directory.mkdir(parents=True, exist_ok=True)
            uri = sqlite_uri(directory / FILE, "rwc")
            self.connection = sqlite3.connect(uri, uri=True, timeout=WAIT_SECONDS, isolation_level=None)
            try:
                self._open()
            except BaseException:
                self.connection.close()
                raise

    def close(self) -> None:
        """Close the file; what was not committed is dropped."""
        self.connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def register(self, trials: Mapping[int, Trial], meta: dict[str, Any]) -> list[str]:
        """Enter trials as pending by their positions in the plan, unless they stand there unharmed, and what is known
        of the run; others are dropped.

        Returns the names of trials whose rows were damaged; they are pending again.
        """
        there = {trial for (trial,) in self._read("SELECT id FROM trials")}
        damaged = self._damaged()
        with self.transaction():
            for i in {*damaged, *(there - trials.keys())}:
                self._forget(i)
                self.connection.execute("DELETE FROM trials WHERE id = ?", (i,))
            new = [i for i in trials if i not in there or i in damaged]
            rows = [
                (i, t.identity, t.key, t.label, t.entry.recipe.scheme, t.lr, t.seed)
                for i, t in ((i, trials[i]) for i in new)
            ]
            self.connection.executemany(
                "INSERT INTO trials (id, identity, trial, label, scheme, lr, seed) VALUES (?,?,?,?,?,?,?)", rows
            )
            sign(self.connection, new)
            self.enter(meta)
        return [trials[i].key if i in trials else f"row {i}" for i in damaged]

    def set_meta(self, **values: Any) -> None:
        """Set facts of the run (JSON)."""
        with self.transaction():
            self.enter(values)

    def enter(self, values: dict[str, Any]) -> None:
        """Set facts of the run inside a transaction."""
        rows = [(key, json.dumps(value)) for key, value in values.items()]
        self.connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)
        digest = json.dumps(meta_digest(self.connection))
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (META_KEY, digest))

    def meta(self, key: str, default: Any = None) -> Any:
        """A fact of the run."""
        rows = self._read("SELECT value FROM meta WHERE key = ?", key)
        return json.loads(rows[0][0]) if rows else default

    def unfinished(self) -> list[int]:
        """Trials that are neither ok nor diverged."""
        return [row[0] for row in self._read("SELECT id FROM trials WHERE status NOT IN ('ok','diverged') ORDER BY id")]

    def finals(self) -> list[tuple[int, str, float | None, float | None]]:
        """Position, status, test loss and test accuracy of the trials that have ended."""
        return self._read(
            "SELECT id, status, final_test_loss, final_test_accuracy FROM trials "
            "WHERE status IN ('ok','diverged') ORDER BY id"
        )

    def has_begun(self) -> bool:
        """Whether any trial was finished here, not copied, or has a checkpoint."""
        return bool(self._read(BEGUN))

    def failures(self) -> list[str]:
        """Why trials failed, in words."""
        return [
            f"{trial} failed: {why}"
            for trial, why in self._read("SELECT trial, message FROM trials WHERE status = 'failed' ORDER BY id")
        ]

    def warnings(self) -> dict[str, tuple[int, list[str]]]:
        """By label the first trial that does not start as its scheme promises: its seed, and in what, in words."""
        firsts: dict[str, str] = {}
        found: dict[str, tuple[int, list[str]]] = {}
        for trial, label, seed, text in self._read(QUERIES["warnings"]):
            if firsts.setdefault(label, trial) == trial:
                found.setdefault(label, (seed, []))[1].append(text)
        return found

    def counts(self) -> dict[str, int]:
        """Trials by status."""
        found = dict(self._read("SELECT status, count(*) FROM trials GROUP BY status"))
        return {status: found.get(status, 0) for status in ("ok", "diverged", "failed", "pending")}

    def start(self, trial: int, record: Started) -> None:
        """Forget what an interrupted attempt left of a trial, and enter its initialization."""
        self._waiting[trial] = started(trial, record)

    def chunk(self, trial: int, chunk: Chunk, seconds: float) -> None:
        """Enter the measurements of a chunk and its checkpoint, with the seconds that the trial took so far."""
        self._waiting.setdefault(trial, []).extend(measured(trial, chunk, seconds))

    def finish(self, trial: int, record: Finished, seconds: float) -> None:
        """Enter how a trial ended, and drop its checkpoint."""
        self._waiting.setdefault(trial, []).extend(ended(trial, record, seconds))

    def fail(self, trial: int, message: str) -> None:
        """Mark a trial that raised an error; what it had measured is dropped."""
        self.discard([trial])
        with self.transaction():
            self._forget(trial)
            self.connection.execute(
                "UPDATE trials SET status = 'failed', message = ?, init_hash = NULL WHERE id = ?", (message, trial)
            )
            sign(self.connection, [trial])

    def commit(self, trials: Iterable[int]) -> None:
        """Enter everything of these trials that waits, in one transaction."""
        waiting = [trial for trial in trials if trial in self._waiting]
        with self.transaction():
            for trial in waiting:
                self._execute(self._waiting[trial])
            sign(self.connection, waiting)
        for trial in waiting:
            del self._waiting[trial]

    def discard(self, trials: Iterable[int]) -> None:
        """Forget what waits of these trials."""
        for trial in trials:
            self._waiting.pop(trial, None)

    def checkpoint(self, trial: int) -> Kept | None:
        """Where a trial goes on; ``None`` for the beginning."""
        rows = self._read(
            "SELECT step, name, dtype, shape, strides, data FROM checkpoints WHERE trial_id = ? ORDER BY position",
            trial,
        )
        if not rows:
            return None
        arrays = [
            (name, dtype, numbers(shape), numbers(strides), data) for _, name, dtype, shape, strides, data in rows
        ]
        return Kept(rows[0][0], arrays, *self._read("SELECT init_hash, seconds FROM trials WHERE id = ?", trial)[0])

    def copy(self, other: Path, pairs: Iterable[tuple[int, int]]) -> None:
        """Copy finished trials, as (theirs, ours), from the store of another run."""
        with self._attached(other), self.transaction():
            for theirs, ours in pairs:
                self._execute(copied(self.connection, theirs, ours, other.name))
                sign(self.connection, [ours])

    def join(self, other: Path) -> None:
        """Take over all trials of a shard's store, some at a time: a transaction is kept in memory."""
        with self._attached(other):
            trials = [trial for (trial,) in self._read("SELECT id FROM other.trials ORDER BY id")]
            for first in range(0, len(trials), JOINED_AT_ONCE):
                some = trials[first : first + JOINED_AT_ONCE]
                with self.transaction():
                    self._execute(joined(self.connection, some))
                    sign(self.connection, some)

    def export(self) -> list[str]:
        """Write the CSV files; return what was left out of them, in words."""
        left_out = []
        for name in TABLES:
            if name == "gradients" and self._gradient_rows() > GRADIENT_ROWS_EXPORTED:
                left_out.append(f"gradients.csv is not written: {self._gradient_rows():,} rows stay in {FILE}")
                continue
            with refusals(self.directory), contextlib.closing(self.connection.execute(QUERIES[name])) as cursor:
                write_csv(self.directory / f"{name}.csv", [column[0] for column in cursor.description], cursor)
        return left_out

    def write_status(self, state: str) -> dict[str, Any]:
        """Set the state of the run in the store and in ``status.json``."""
        status = {"state": state, "trials": self.counts()}
        self.set_meta(status=status)
        write_json(self.directory / "status.json", status)
        return status

    def shrink(self) -> None:
        """Give the space of dropped checkpoints back to the disk."""
        with refusals(self.directory):
            self.connection.executescript("PRAGMA incremental_vacuum")  # execute() gives back one page and stops

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is committed, or nothing.

        Raises:
            LockedError: another process has taken the run over.
        """
        with refusals(self.directory):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                if self._is_open and self.owner is not None:
                    self._check_owner(self.owner)
                yield
                self.connection.commit()
            finally:
                if self.connection.in_transaction:
                    self.connection.rollback()

    @contextlib.contextmanager
    def _attached(self, other: Path) -> Iterator[None]:
        """Let ``other`` mean the store of another run."""
        with refusals(self.directory):
            # read-only, or BEGIN IMMEDIATE would wait for whoever is writing the other run
            self.connection.execute("ATTACH DATABASE ? AS other", (sqlite_uri(other / FILE, "ro"),))
        try:
            yield
        finally:
            self.connection.execute("DETACH DATABASE other")

    def _open(self) -> None:
        connection = self.connection
        connection.execute("PRAGMA cache_spill = OFF")  # a long transaction must not lock readers out
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        with self.transaction():
            version = check_format(connection, self.directory)
            found = [text for (text,) in connection.execute("PRAGMA quick_check(3)")]
            if found != ["ok"]:
                raise sqlite3.DatabaseError("; ".join(found).replace("\n", " "))
            for statement in filter(str.strip, SQL.split(";")):
                connection.execute(statement)
            if version != FORMAT:
                self._upgrade()
            elif not is_meta_whole(connection):
                raise StorageError(
                    f"{self.directory / FILE} is damaged: its config and environment are not what was recorded; {CURE}"
                )
            if self.owner is not None:
                self.enter({"owner": record_of(self.owner)})
        self._is_open = True

    def _upgrade(self) -> None:
        """A new file, or one of the first format, which had no digests."""
        if "digest" not in [row[1] for row in self.connection.execute("PRAGMA table_info(trials)")]:
            self.connection.execute("ALTER TABLE trials ADD COLUMN digest TEXT")
        sign(self.connection, [trial for (trial,) in self.connection.execute("SELECT id FROM trials").fetchall()])
        self.enter({})
        self.connection.execute(f"PRAGMA user_version = {FORMAT}")

    def _check_owner(self, mine: Owner) -> None:
        found = owner_of(self.meta("owner"))
        if found != mine:
            raise taken_over(self.directory, found or "another process")

    def _damaged(self) -> list[int]:
        with refusals(self.directory), unreadable(self.directory):
            return damaged_trials(self.connection)

    def _gradient_rows(self) -> int:
        return int(self._read("SELECT count(*) FROM gradients")[0][0])

    def _forget(self, trial: int) -> None:
        self._execute(forgotten(trial))

    def _execute(self, statements: Statements) -> None:
        for sql, rows in statements:
            self.connection.executemany(sql, rows)

    def _read(self, sql: str, *values: Any) -> list[Any]:
        with refusals(self.directory):
            return self.connection.execute(sql, values).fetchall()
