"""What was measured of a run's labels before training, in its store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from winit_cli.store.digest import PROBED, is_probe_whole, probe_digest
from winit_cli.store.reading import facts_of, reading
from winit_cli.store.schema import PROBE, QUERIES
from winit_cli.store.store import Store


def keep(store: Store, tables: Mapping[str, Iterable[Sequence[Any]]], facts: Mapping[str, Any]) -> None:
    """Put the tables of ``PROBE`` in the place of what is there; ``facts`` say what was measured."""
    connection = store.connection
    with store.transaction():
        for name, columns in PROBE.items():
            connection.execute(f"DELETE FROM {name}")
            marks = ",".join("?" * len(columns))
            connection.executemany(f"INSERT INTO {name} VALUES ({marks})", tables[name])
        store.enter({PROBED: {**facts, "sha256": probe_digest(connection)}})


def kept(store: Store) -> dict[str, Any] | None:
    """What :func:`keep` was told; ``None`` where nothing was kept, or the rows are not what was recorded."""
    facts: dict[str, Any] | None = store.meta(PROBED)
    if facts is None or not is_probe_whole(store.connection):
        return None
    return {name: fact for name, fact in facts.items() if name != "sha256"}


def take_over(store: Store, other: Path) -> None:
    """Keep what another run has measured of the same labels."""
    with reading(other) as connection:
        tables = {name: connection.execute(QUERIES[name]).fetchall() for name in PROBE}
        facts = facts_of(connection)[PROBED]
    keep(store, tables, {name: fact for name, fact in facts.items() if name != "sha256"})
