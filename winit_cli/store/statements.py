"""What the records of a trial become in its store: SQL statements with their rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import astuple
from typing import TYPE_CHECKING

from winit_cli.store.schema import DETAILS, FINALS, LATER, Rows, tables_in

if TYPE_CHECKING:
    from winit_cli.engine.records import Array, Chunk, Finished, Started

OF_TRIAL = (*DETAILS, *LATER, "checkpoints")  # tables with rows that belong to a trial
Statements = list[tuple[str, Rows]]


def forgotten(trial: int) -> Statements:
    """Drop all rows that belong to a trial."""
    return [(f"DELETE FROM {table} WHERE trial_id = ?", [(trial,)]) for table in OF_TRIAL]


def started(trial: int, record: Started) -> Statements:
    """Forget what an interrupted attempt left of a trial, and enter its initialization."""
    init: Rows = [(trial, position, *astuple(row)) for position, row in enumerate(record.init)]
    found: Statements = [
        *forgotten(trial),
        (f"INSERT INTO init VALUES ({','.join('?' * 15)})", init),
        (
            "UPDATE trials SET init_hash = ?, status = 'pending', message = NULL, seconds = NULL WHERE id = ?",
            [(record.init_hash, trial)],
        ),
        _units(trial, "start", record.units),
        (
            "INSERT INTO warnings VALUES (?,?,?)",
            [(trial, position, text) for position, text in enumerate(record.warnings)],
        ),
    ]
    if record.cost.seconds:
        found.append(("INSERT INTO costs VALUES (?,?,?)", [(trial, record.cost.seconds, record.cost.passes)]))
    return found


def measured(trial: int, chunk: Chunk, seconds: float) -> Statements:
    """Enter the measurements of a chunk and its checkpoint, with the seconds that the trial took so far."""
    points: Rows = [(trial, p.step, p.split, p.loss, p.accuracy) for p in chunk.points]
    norms: Rows = [
        (trial, n.step, position, value)
        for n in chunk.norms
        for position, value in enumerate(n.values)
        if value is not None
    ]
    found: Statements = [
        ("INSERT INTO curves VALUES (?,?,?,?,?)", points),
        ("INSERT INTO gradients VALUES (?,?,?,?)", norms),
    ]
    if chunk.checkpoint is not None:
        arrays: Rows = [
            (trial, place, chunk.checkpoint.step, a.name, a.dtype, listed(a.shape), listed(a.strides), a.data)
            for place, a in enumerate(chunk.checkpoint.arrays)
        ]
        found.append(("DELETE FROM checkpoints WHERE trial_id = ?", [(trial,)]))
        found.append(("INSERT INTO checkpoints VALUES (?,?,?,?,?,?,?,?)", arrays))
        found.append(("UPDATE trials SET seconds = ? WHERE id = ?", [(seconds, trial)]))
    return found


def ended(trial: int, record: Finished, seconds: float) -> Statements:
    """Enter how a trial ended, and drop its checkpoint."""
    finals = (record.train_loss, record.val_loss, record.test_loss, record.test_accuracy)
    sets = ", ".join(f"{name} = ?" for name in ("status", "outcome", *FINALS, "diverged_step", "seconds"))
    values = (record.status, record.outcome, *finals, record.diverged_step, seconds, trial)
    found: Statements = [
        (f"UPDATE trials SET {sets} WHERE id = ?", [values]),
        ("DELETE FROM checkpoints WHERE trial_id = ?", [(trial,)]),
    ]
    if record.status == "ok":  # a diverged trial has no weights worth a picture
        found.append(_units(trial, "end", record.units))
    return found


def copied(connection: sqlite3.Connection, theirs: int, ours: int, source: str) -> Statements:
    """Take over a finished trial from the run ``source``, whose file is attached as ``other``."""
    columns = ("status", "outcome", *FINALS, "diverged_step", "init_hash")
    sets = ", ".join(f"{c} = (SELECT {c} FROM other.trials WHERE id = {theirs})" for c in columns)
    found: Statements = [
        (
            f"UPDATE trials SET {sets}, message = NULL, copied_from = "
            f"coalesce((SELECT copied_from FROM other.trials WHERE id = {theirs}), ?) WHERE id = {ours}",
            [(source,)],
        ),
        *forgotten(ours),
    ]
    there = tables_in(connection, "other")
    for table in (name for name in (*DETAILS, *LATER) if name in there):
        kept = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "trial_id"]
        insert = (
            f"INSERT INTO {table} (trial_id, {', '.join(kept)}) "
            f"SELECT ?, {', '.join(kept)} FROM other.{table} WHERE trial_id = ?"
        )
        found.append((insert, [(ours, theirs)]))
    return found


def joined(connection: sqlite3.Connection, trials: Iterable[int]) -> Statements:
    """Take over all of some trials as they are, under their own numbers, from the store attached as ``other``."""
    there = tables_in(connection, "other")
    numbered: Rows = [(trial,) for trial in trials]
    found: Statements = [*((f"DELETE FROM {table} WHERE trial_id = ?", numbered) for table in OF_TRIAL)]
    for table in ("trials", *(name for name in (*DETAILS, *LATER) if name in there)):
        names = ", ".join(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))
        key = "id" if table == "trials" else "trial_id"
        insert = f"INSERT OR REPLACE INTO {table} ({names}) SELECT {names} FROM other.{table} WHERE {key} = ?"
        found.append((insert, numbered))
    return found


def _units(trial: int, moment: str, units: Array) -> tuple[str, Rows]:
    row = (trial, moment, listed(units.shape), units.astype("<f4").tobytes())
    return "INSERT OR REPLACE INTO units VALUES (?,?,?,?)", [row]


def listed(sizes: Iterable[int]) -> str:
    """``3x4``; empty for the sizes of a single number."""
    return "x".join(map(str, sizes))


def numbers(sizes: str) -> tuple[int, ...]:
    """The opposite of ``listed``."""
    return tuple(int(size) for size in sizes.split("x")) if sizes else ()
