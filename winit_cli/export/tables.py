"""The tables of a run as CSV files, whole."""

from __future__ import annotations

import csv
import os
import shutil
import sqlite3
from pathlib import Path

import pandas as pd

from winit_cli.export.output import refuse_existing
from winit_cli.export.stored import StoredRun, read_stored, reading
from winit_cli.pairs import comparisons
from winit_cli.stats import summarize
from winit_cli.store.files import refusals, write_csv
from winit_cli.store.schema import QUERIES
from winit_cli.store.store import TABLES


def to_csv(run: Path, out: Path | None = None) -> Path:
    """Write all tables of a run into a new directory, ``<run name>-csv`` by default.

    Raises:
        UsageError: the directory exists.
        StorageError: the store cannot be read, or the disk refused.
    """
    stored = read_stored(run)
    out = out or Path(f"{stored.name}-csv")
    refuse_existing(out)
    beside = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    with refusals(out):
        beside.mkdir(parents=True)
        try:
            _write_tables(stored, beside)
            beside.rename(out)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return out


def _write_tables(run: StoredRun, folder: Path) -> None:
    with reading(run.path) as connection:
        for name in TABLES:
            _stream(connection, QUERIES[name], folder / f"{name}.csv")
        trials = pd.read_sql_query(QUERIES["trials"], connection)
    against_baseline = comparisons(trials, run.labels, run.facts["baseline"])
    for name, table in (("summary", summarize(trials, run.labels)), ("comparisons", against_baseline)):
        write_csv(folder / f"{name}.csv", list(table.columns), table.itertuples(index=False))


def _stream(connection: sqlite3.Connection, query: str, path: Path) -> None:
    """Row by row, since a table may be larger than memory; cells as in ``write_csv``: SQLite has no NaN."""
    with refusals(path), path.open("w", encoding="utf-8", newline="") as file:
        cursor = connection.execute(query)
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column[0] for column in cursor.description])
        writer.writerows(cursor)
