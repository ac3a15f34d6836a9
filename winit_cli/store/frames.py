"""A run as tidy tables: what statistics, plots and the report read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame

from winit_cli.errors import StorageError
from winit_cli.store.digest import PROBED
from winit_cli.store.reading import facts_of, reading, refuse_damage
from winit_cli.store.runs import state_of
from winit_cli.store.schema import PROBE, QUERIES, WARNINGS, gradients_at, queries


@dataclass(frozen=True)
class RunFrames:
    """One run on disk; tables have the columns of its CSV files, blank cells are NaN or None.

    ``units`` holds some first-layer units per trial: ``values`` is a float32 array of shape
    (units, height, width) or (units, length), ``moment`` is ``start`` or ``end``. ``halved`` says in words which stacks
    ran out of memory, the ``text`` of ``warnings`` what at the start of a trial is not as its scheme promises. The
    tables hold the trials of the experiment's seeds; those that select learning rates are ``selection``. The probe
    before training took ``probe_seconds``, which runs of older versions do not tell.
    """

    path: Path
    config: dict[str, Any]
    env: dict[str, Any]
    status: dict[str, Any]
    data: dict[str, Any]
    labels: list[str]
    trials: DataFrame
    curves: DataFrame
    gradients: DataFrame
    init: DataFrame
    timings: DataFrame
    units: DataFrame
    probe: DataFrame
    verdicts: DataFrame
    histograms: DataFrame
    halved: list[str] = field(default_factory=list)
    warnings: DataFrame = field(default_factory=DataFrame)
    selection: DataFrame = field(default_factory=DataFrame)
    probe_seconds: float = 0.0

    @cached_property
    def weights(self) -> list[str]:
        """Weights of linear, convolutional, recurrent and embedding layers, in the model's order: what has fans."""
        return list(dict.fromkeys(self.init.loc[self.init["fan_in"].notna(), "param"]))

    @cached_property
    def weight_gradients(self) -> DataFrame:
        """The gradients of the weights."""
        return self.gradients[self.gradients["param"].isin(self.weights)]


def read_run(path: Path, steps: Iterable[int] | None = None) -> RunFrames:
    """Read a run, also one that another process is still writing; given ``steps``, the gradients of those alone and no
    units, which are most of what is read.

    Raises:
        StorageError: the store is missing or damaged.
    """
    with reading(path) as connection:
        refuse_damage(connection, path)
        return frames_of(connection, path, steps)


def frames_of(connection: sqlite3.Connection, path: Path, steps: Iterable[int] | None = None) -> RunFrames:
    """The tables of an open store, see :func:`read_run`; its damage is not looked for.

    Raises:
        StorageError: the run was only just begun.
    """
    meta = facts_of(connection)
    if "config" not in meta:
        raise StorageError(f"{path} was only just begun and holds nothing yet; ask again in a moment")
    wanted = queries(connection) | ({} if steps is None else _small(steps))
    frames = {name: pd.read_sql_query(query, connection) for name, query in wanted.items()}
    blank = {**PROBE, "warnings": WARNINGS}
    frames = {name: DataFrame(columns=list(columns)) for name, columns in blank.items()} | frames
    frames["units"] = _with_arrays(frames["units"])
    meta["status"] = {**meta["status"], "state": state_of(path, meta)}
    facts: dict[str, Any] = {key: meta[key] for key in ("config", "env", "status", "data", "labels")} | frames
    seconds = meta.get(PROBED, {}).get("seconds", 0.0)
    return _apart(RunFrames(path, **facts, halved=meta.get("halved", []), probe_seconds=seconds))


def _apart(run: RunFrames) -> RunFrames:
    """The run with the trials that select learning rates in a table of their own."""
    if not run.config.get("select"):
        return run
    seeds = run.config["seeds"]
    tables = {name: getattr(run, name) for name in ("trials", "curves", "gradients", "init", "units")}
    kept: dict[str, Any] = {name: table[table["seed"].isin(seeds)] for name, table in tables.items()}
    return replace(run, **kept, selection=run.trials[~run.trials["seed"].isin(seeds)])


def _small(steps: Iterable[int]) -> dict[str, str]:
    """Queries instead of those whose tables are large."""
    return {"gradients": gradients_at(steps), "units": f"{QUERIES['units']} LIMIT 0"}


def _with_arrays(units: DataFrame) -> DataFrame:
    values = [
        np.frombuffer(data, dtype="<f4").reshape([int(size) for size in shape.split("x")])
        for data, shape in zip(units["data"], units["shape"], strict=True)
    ]
    return units.drop(columns=["shape", "data"]).assign(values=pd.Series(values, index=units.index, dtype=object))
