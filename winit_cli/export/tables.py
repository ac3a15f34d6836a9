"""The tables of a run as CSV files, whole."""

from __future__ import annotations

import csv
import os
import shutil
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from winit_cli.claims.check import stored_claims
from winit_cli.export.output import refuse_existing
from winit_cli.export.stored import named
from winit_cli.findings.tables import FILES, steps_of, tables_of
from winit_cli.store.digest import damaged_trials, is_meta_whole
from winit_cli.store.files import plain_cell, refusals, write_csv
from winit_cli.store.frames import frames_of
from winit_cli.store.reading import facts_of, has_digests, reading
from winit_cli.store.schema import TABLES, queries

STATISTICS = tuple(f"{name}.csv" for name in FILES)


@dataclass(frozen=True)
class Written:
    """Where the tables are, and what a damaged run kept out of them, in words."""

    directory: Path
    left_out: list[str]


def to_csv(run: Path, out: Path | None = None) -> Written:
    """Write all tables of a run into a new directory, ``<run name>-csv`` by default; of a damaged run what is whole.

    Raises:
        UsageError: the directory exists.
        StorageError: nothing in the store can be read, or the disk refused.
    """
    out = out or Path(f"{named(run)}-csv")
    refuse_existing(out)
    beside = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    with refusals(out):
        beside.mkdir(parents=True)
        try:
            left_out = _write_tables(run, beside)
            beside.rename(out)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return Written(out, left_out)


def _write_tables(run: Path, folder: Path) -> list[str]:
    bad = _damaged(run)
    left_out = [f"trial {name}: its rows are not what was recorded" for name in bad.values()]
    with reading(run, is_trusted=False) as connection:
        _hide(connection, bad)
        there = queries(connection)
        for name in (name for name in TABLES if name in there):
            try:
                _stream(connection, there[name], folder / f"{name}.csv")
            except sqlite3.DatabaseError as error:
                (folder / f"{name}.csv").unlink()
                left_out.append(f"{name}.csv: {error}")
        if has_digests(connection) and not is_meta_whole(connection):
            return [*left_out, f"{', '.join(STATISTICS)}: the config and environment are not what was recorded"]
        try:
            facts = facts_of(connection)
            steps = steps_of(stored_claims(facts["config"], facts["labels"]))
            statistics = tables_of(frames_of(connection, run, steps)).files()
        except (sqlite3.DatabaseError, pd.errors.DatabaseError) as error:
            return [*left_out, f"{', '.join(STATISTICS)}: {error}"]
    for name, table in statistics.items():
        write_csv(folder / f"{name}.csv", list(table.columns), table.itertuples(index=False))
    return left_out


def _damaged(run: Path) -> dict[int, str]:
    """The trials that are not what was recorded. SQLite reads little more over a connection that has met damage."""
    with reading(run, is_trusted=False) as connection:
        names = dict(connection.execute("SELECT id, trial FROM trials").fetchall())
        return {trial: names[trial] for trial in (damaged_trials(connection) if has_digests(connection) else [])}


def _hide(connection: sqlite3.Connection, trials: Iterable[int]) -> None:
    """Let ``trials`` mean the others."""
    marks = ",".join(map(str, trials))
    if marks:
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"CREATE TEMP TABLE trials AS SELECT * FROM main.trials WHERE id NOT IN ({marks})")


def _stream(connection: sqlite3.Connection, query: str, path: Path) -> None:
    """Row by row, since a table may be larger than memory; cells as in ``write_csv``: SQLite has no NaN."""
    with refusals(path), path.open("w", encoding="utf-8", newline="") as file:
        cursor = connection.execute(query)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column[0] for column in cursor.description])
        writer.writerows([plain_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in cursor)
