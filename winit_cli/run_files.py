"""The files beside a run's store, written from what the store holds."""

from __future__ import annotations

from collections.abc import Callable

from winit_cli.claims.check import stored_claims
from winit_cli.config import dump
from winit_cli.findings.tables import steps_of, tables_of
from winit_cli.store.files import write_csv, write_json, write_text
from winit_cli.store.frames import read_run
from winit_cli.store.store import Store


def write_config(store: Store) -> None:
    """Write ``config.yaml`` and ``env.json``."""
    write_text(store.directory / "config.yaml", dump(store.meta("config")))
    write_json(store.directory / "env.json", store.meta("env"))


def write_tables(store: Store, note: Callable[[str], None]) -> None:
    """Write config, environment and every table; say aloud what is left out."""
    write_config(store)
    for text in store.export():
        note(text)
    claims = stored_claims(store.meta("config"), store.meta("labels"))
    for name, table in tables_of(read_run(store.directory, steps_of(claims))).files().items():
        write_csv(store.directory / f"{name}.csv", list(table.columns), table.itertuples(index=False))
