"""The tables of a run as Parquet files: the stems and columns of the CSV files, with types, and texts as they are."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from pandas import DataFrame

from winit_cli.export.extras import need
from winit_cli.export.tables import Form, Written, to_tables
from winit_cli.stats import SELECTED

ROWS = 100_000  # of a row group, which is held in memory
# the columns of statistics that are not float64
TEXTS = {"label", "label_a", "label_b", "metric", "verdict", "claim", "chosen_on"}
COUNTS = {"n", "diverged", "reached", "rank", "rank_low", "rank_high", "of"}


def to_parquet(run: Path, out: Path | None = None) -> Written:
    """Write all tables of a run into a new directory, ``<run name>-parquet`` by default; of damaged runs what is whole.

    Blank cells are null. ``lr`` of comparisons.parquet is text where the run selects learning rates.

    Raises:
        UsageError: pyarrow is not installed, or the directory exists.
        StorageError: nothing in the store can be read, or the disk refused.
    """
    need("pyarrow.parquet", "parquet")
    return to_tables(run, out, Form("parquet", _stream, _write))


def _stream(connection: sqlite3.Connection, query: str, path: Path) -> None:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    types = {"TEXT": pa.string(), "REAL": pa.float64(), "INT": pa.int64(), "INTEGER": pa.int64()}
    schema = pa.schema([(name, types[declared]) for name, declared in _declared(connection, query)])
    cursor = connection.execute(query)
    with ParquetWriter(path, schema) as writer:
        while rows := cursor.fetchmany(ROWS):
            columns = zip(zip(*rows, strict=True), schema.types, strict=True)
            arrays = [pa.array(map(_blank, cells), kind) for cells, kind in columns]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _blank(cell: Any) -> Any:
    """The store has empty texts where a CSV file has a blank cell."""
    return None if cell == "" else cell


def _declared(connection: sqlite3.Connection, query: str) -> list[tuple[str, str]]:
    """The columns of a query with the types of the tables that they are from."""
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"CREATE TEMP VIEW exported AS {query}")
    columns = connection.execute("PRAGMA table_info(exported)").fetchall()
    connection.execute("DROP VIEW exported")
    return [(name, declared) for _, name, declared, *_ in columns]


def _write(table: DataFrame, path: Path) -> None:
    import pyarrow as pa
    from pyarrow.parquet import write_table

    arrays = {}
    for name in map(str, table.columns):
        cells = [None if cell != cell or cell == "" else cell for cell in table[name]]  # NaN
        if name in TEXTS or SELECTED in cells:
            arrays[name] = pa.array([cell if cell is None else str(cell) for cell in cells], pa.string())
        else:
            arrays[name] = pa.array(cells, pa.int64() if name in COUNTS else pa.float64())
    write_table(pa.table(arrays), path)
