"""The tables of a run as files of one form, whole."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from pandas import DataFrame

from winit_cli.claims.check import stored_claims
from winit_cli.export.output import new_directory
from winit_cli.export.stored import named
from winit_cli.findings.tables import FILES, steps_of, tables_of
from winit_cli.store.digest import damaged_trials, is_meta_whole
from winit_cli.store.files import plain_cell, write_csv
from winit_cli.store.frames import frames_of
from winit_cli.store.reading import facts_of, has_digests, reading
from winit_cli.store.schema import TABLES, queries


@dataclass(frozen=True)
class Written:
    """Where it is, what a damaged run kept out of it, and what else is to be said, in words."""

    directory: Path
    left_out: list[str]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Form:
    """How tables are written: the suffix of the files, and a function each for the rows of a query, which may be more
    than memory holds, and for a table of statistics."""

    suffix: str
    stream: Callable[[sqlite3.Connection, str, Path], None]
    write: Callable[[DataFrame, Path], None]


def to_csv(run: Path, out: Path | None = None) -> Written:
    """Write all tables of a run as CSV files, see :func:`to_tables`."""
    return to_tables(run, out, Form("csv", _stream, _write))


def to_tables(run: Path, out: Path | None, form: Form) -> Written:
    """Write all tables of a run into a new directory, ``<run name>-<suffix>`` by default; the damage stays out.

    Raises:
        UsageError: the directory exists.
        StorageError: nothing in the store can be read, or the disk refused.
    """
    out = out or Path(f"{named(run)}-{form.suffix}")
    with new_directory(out) as beside:
        left_out = _write_tables(run, beside, form)
    return Written(out, left_out)


def _write_tables(run: Path, folder: Path, form: Form) -> list[str]:
    bad = damaged_in(run)
    left_out = [f"trial {name}: its rows are not what was recorded" for name in bad.values()]
    statistics = ", ".join(f"{name}.{form.suffix}" for name in FILES)
    with reading(run, is_trusted=False) as connection:
        _hide(connection, bad)
        there = queries(connection)
        for name in (name for name in TABLES if name in there):
            path = folder / f"{name}.{form.suffix}"
            try:
                form.stream(connection, there[name], path)
            except sqlite3.DatabaseError as error:
                path.unlink()
                left_out.append(f"{path.name}: {error}")
        if has_digests(connection) and not is_meta_whole(connection):
            return [*left_out, f"{statistics}: the config and environment are not what was recorded"]
        try:
            facts = facts_of(connection)
            steps = steps_of(stored_claims(facts["config"], facts["labels"]))
            found = tables_of(frames_of(connection, run, steps)).files()
        except (sqlite3.DatabaseError, pd.errors.DatabaseError) as error:
            return [*left_out, f"{statistics}: {error}"]
    for name, table in found.items():
        form.write(table, folder / f"{name}.{form.suffix}")
    return left_out


def damaged_in(run: Path) -> dict[int, str]:
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
    """Cells as in ``write_csv``: SQLite has no NaN."""
    with path.open("w", encoding="utf-8", newline="") as file:
        cursor = connection.execute(query)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column[0] for column in cursor.description])
        writer.writerows([plain_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in cursor)


def _write(table: DataFrame, path: Path) -> None:
    write_csv(path, list(table.columns), table.itertuples(index=False))
