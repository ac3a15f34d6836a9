"""A run as event files of TensorBoard, a directory per trial: curves, gradient norms, weights at the start, HParams."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from winit_cli.errors import UsageError
from winit_cli.export.extras import need
from winit_cli.export.hparams import Shown
from winit_cli.export.output import new_directory
from winit_cli.export.starts import Histogram, Starts
from winit_cli.export.stored import StoredRun, read_stored
from winit_cli.export.tables import Written, damaged_in
from winit_cli.plan import make_plan
from winit_cli.store.reading import reading
from winit_cli.store.schema import FINALS

Row = dict[str, Any]  # of the table of trials
Told = Callable[[Sequence[Row]], Iterable[Row]]  # passes trials on, and tells how far it is
TRIALS = f"SELECT id, trial, label, scheme, lr, seed, {', '.join(FINALS)}, init_hash FROM trials ORDER BY id"
CURVES = (
    "SELECT step, 'loss/' || split, loss FROM curves WHERE trial_id = :id AND loss IS NOT NULL UNION ALL "
    "SELECT step, 'accuracy/' || split, accuracy FROM curves WHERE trial_id = :id AND accuracy IS NOT NULL UNION ALL "
    "SELECT g.step, 'grad_norm/' || i.param, g.grad_norm FROM gradients g JOIN init i ON i.trial_id = g.trial_id "
    "AND i.position = g.position WHERE g.trial_id = :id AND g.grad_norm IS NOT NULL ORDER BY 1"
)
START = "start"  # the tags of histograms begin with it


def to_tensorboard(run: Path, out: Path | None, model: str | None, loss: str | None, told: Told) -> Written:
    """Write an event file for each trial that has begun, into ``label/lr/seed`` of a new directory, ``<run
    name>-tensorboard`` by default; one trial at a time is in memory. ``model`` and ``loss`` are a user's own, loaded.

    Raises:
        UsageError: tensorboard is not installed, or the directory exists.
        StorageError: the store cannot be read, or the disk refused.
    """
    need("tensorboard.summary.writer.record_writer", "tensorboard")
    stored, damaged = read_stored(run), damaged_in(run)
    out = out or Path(f"{stored.name}-tensorboard")
    with new_directory(out) as beside, reading(run) as connection:
        started = datetime.fromisoformat(stored.env["started"]).timestamp()
        starts, notes = _starts(stored, model, loss)
        rows = _begun(connection, damaged)
        shown = Shown(stored.facts.get("vary", {}), rows)
        for row in told(rows):
            histograms = starts.of(row["trial"], row["init_hash"]) if starts else {}
            _write(_folder(beside, row["trial"]), _events(connection, row, histograms, shown), started)
    left_out = [f"trial {name}: its rows are not what was recorded" for name in damaged.values()]
    return Written(out, left_out, notes + (starts.notes if starts else []))


def _starts(stored: StoredRun, model: str | None, loss: str | None) -> tuple[Starts | None, list[str]]:
    """What draws the weights again, or why that cannot be done here."""
    try:
        return Starts(make_plan(stored.config(model, loss), stored.env["device"])), []
    except UsageError as error:
        return None, [f"without histograms of the weights at the start: {error}"]


def _begun(connection: sqlite3.Connection, damaged: Iterable[int]) -> list[Row]:
    cursor = connection.execute(TRIALS)
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return [row for row in rows if row["init_hash"] is not None and row["id"] not in damaged]


def _folder(out: Path, trial: str) -> Path:
    return out.joinpath(*(re.sub(r"[^\w.+@=, -]|^\.+$", "_", part) for part in trial.split("/")))


def _write(folder: Path, events: Iterable[Any], started: float) -> None:
    """An event file of that time, in a directory of its own."""
    from tensorboard.summary.writer.record_writer import RecordWriter

    folder.mkdir(parents=True)
    with (folder / f"events.out.tfevents.{started:.0f}.winit").open("wb") as file:
        writer = RecordWriter(file)
        for event in events:
            event.wall_time = started
            writer.write(event.SerializeToString())


def _events(
    connection: sqlite3.Connection, row: Row, histograms: Mapping[str, Histogram], shown: Shown
) -> Iterator[Any]:
    """What a trial is, its weights at the start, its curves step by step, and its finals at the last step."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary

    *described, ended = shown.summaries(row)
    yield Event(file_version="brain.Event:2")
    yield from (Event(summary=summary) for summary in described)
    for name, found in histograms.items():
        drawn = HistogramProto(
            min=found.low,
            max=found.high,
            num=found.size,
            sum=found.total,
            sum_squares=found.squares,
            bucket_limit=found.edges,
            bucket=found.counts,
        )
        yield Event(step=0, summary=Summary(value=[Summary.Value(tag=f"{START}/{name}", histo=drawn)]))
    step = 0
    for step, points in groupby(connection.execute(CURVES, {"id": row["id"]}), itemgetter(0)):
        values = [Summary.Value(tag=tag, simple_value=value) for _, tag, value in points]
        yield Event(step=step, summary=Summary(value=values))
    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in shown.finals(row).items()]
    yield Event(step=step, summary=Summary(value=values))
    yield Event(summary=ended)
