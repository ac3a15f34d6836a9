"""The tables of ``run.sqlite`` and the columns of the CSV files.

``trials.id`` is the position in the config's order of labels, learning rates and seeds; exports sort by it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Rows = list[tuple[Any, ...]]

SQL = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trials (
    id INTEGER PRIMARY KEY, identity TEXT NOT NULL, trial TEXT NOT NULL, label TEXT NOT NULL,
    scheme TEXT NOT NULL, lr REAL NOT NULL, seed INTEGER NOT NULL, status TEXT NOT NULL DEFAULT 'pending',
    outcome TEXT, final_train_loss REAL, final_val_loss REAL, final_test_loss REAL, final_test_accuracy REAL,
    diverged_step INTEGER, init_hash TEXT, copied_from TEXT, seconds REAL, message TEXT, digest TEXT
);
CREATE TABLE IF NOT EXISTS curves (
    trial_id INTEGER NOT NULL, step INTEGER NOT NULL, split TEXT NOT NULL, loss REAL, accuracy REAL,
    PRIMARY KEY (trial_id, step, split)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gradients (
    trial_id INTEGER NOT NULL, step INTEGER NOT NULL, position INTEGER NOT NULL, grad_norm REAL,
    PRIMARY KEY (trial_id, step, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS init (
    trial_id INTEGER NOT NULL, position INTEGER NOT NULL, param TEXT NOT NULL, shape TEXT NOT NULL,
    scheme TEXT NOT NULL, rule TEXT NOT NULL, fan_in INTEGER, fan_out INTEGER, gain REAL, mean REAL, std REAL,
    expected_std REAL, min REAL, max REAL, sha256 TEXT NOT NULL,
    PRIMARY KEY (trial_id, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS costs (
    trial_id INTEGER PRIMARY KEY, seconds REAL NOT NULL, passes INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS warnings (
    trial_id INTEGER NOT NULL, position INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (trial_id, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS units (
    trial_id INTEGER NOT NULL, moment TEXT NOT NULL, shape TEXT NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (trial_id, moment)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoints (
    trial_id INTEGER NOT NULL, position INTEGER NOT NULL, step INTEGER NOT NULL, name TEXT NOT NULL,
    dtype TEXT NOT NULL, shape TEXT NOT NULL, strides TEXT NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (trial_id, position)
);
CREATE TABLE IF NOT EXISTS probe (
    label TEXT NOT NULL, seed INTEGER NOT NULL, layer TEXT NOT NULL, depth INTEGER NOT NULL, metric TEXT NOT NULL,
    value REAL
);
CREATE TABLE IF NOT EXISTS verdicts (
    label TEXT NOT NULL, verdict TEXT NOT NULL, layer TEXT NOT NULL, metric TEXT NOT NULL, value REAL,
    advice TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS histograms (
    label TEXT NOT NULL, seed INTEGER NOT NULL, layer TEXT NOT NULL, depth INTEGER NOT NULL, quantity TEXT NOT NULL,
    low REAL, high REAL, count INTEGER NOT NULL
);
"""
# whether any trial was finished here, not copied, or has a checkpoint
BEGUN = (
    "SELECT 1 FROM trials WHERE status IN ('ok','diverged') AND copied_from IS NULL "
    "UNION ALL SELECT 1 FROM checkpoints LIMIT 1"
)
FORMAT = 2  # of the file, in its user_version; files of the first format have 0 there and no digests

PROBE = {  # what was measured before training, which files of older versions do not have
    "probe": ("label", "seed", "layer", "depth", "metric", "value"),
    "verdicts": ("label", "verdict", "layer", "metric", "value", "advice"),
    "histograms": ("label", "seed", "layer", "depth", "quantity", "low", "high", "count"),
}
TABLES = ("trials", "curves", "gradients", "init", "timings", *PROBE)
DETAILS = ("curves", "gradients", "init", "units")  # rows that belong to a trial
LATER = ("costs", "warnings")  # such rows that files of older versions do not have

FINALS = ("final_train_loss", "final_val_loss", "final_test_loss", "final_test_accuracy")
TRIALS = ("trial", "label", "scheme", "lr", "seed", "status", "outcome", *FINALS, "diverged_step", "init_hash")
WARNINGS = ("trial", "label", "seed", "text")  # what at the start of a trial is not as its scheme promises
INIT = ("param", "shape", "scheme", "rule", "fan_in", "fan_out", "gain", "mean", "std", "expected_std", "min", "max")

_TRIAL = "t.trial, t.label, t.lr, t.seed"
# a CROSS JOIN keeps the order of its tables: only the rows of the trials asked for are read
_GRADIENTS = (
    f"SELECT {_TRIAL}, g.step, i.param, g.grad_norm FROM trials t CROSS JOIN gradients g ON g.trial_id = t.id "
    "JOIN init i ON i.trial_id = g.trial_id AND i.position = g.position"
)
_GRADIENT_ORDER = "ORDER BY t.id, g.step, g.position"
_TIMED = "WHERE t.seconds IS NOT NULL AND t.status IN ('ok', 'diverged') ORDER BY t.id"
QUERIES = {
    "trials": f"SELECT {', '.join(TRIALS)}, copied_from FROM trials ORDER BY id",
    "curves": f"SELECT {_TRIAL}, c.step, c.split, c.loss, c.accuracy "
    "FROM trials t CROSS JOIN curves c ON c.trial_id = t.id "
    "ORDER BY t.id, c.step, CASE c.split WHEN 'train' THEN 0 WHEN 'val' THEN 1 ELSE 2 END",
    "gradients": f"{_GRADIENTS} {_GRADIENT_ORDER}",
    "init": f"SELECT t.trial, t.label, t.seed, {', '.join(f'i.{name}' for name in INIT)}, i.sha256 "
    "FROM trials t CROSS JOIN init i ON i.trial_id = t.id ORDER BY t.id, i.position",
    "timings": "SELECT t.trial, t.seconds, c.seconds AS init_seconds, c.passes AS init_passes "
    f"FROM trials t LEFT JOIN costs c ON c.trial_id = t.id {_TIMED}",
    "warnings": "SELECT t.trial, t.label, t.seed, w.text FROM trials t JOIN warnings w ON w.trial_id = t.id "
    "ORDER BY t.id, w.position",
    "units": f"SELECT {_TRIAL}, u.moment, u.shape, u.data FROM trials t CROSS JOIN units u ON u.trial_id = t.id "
    "ORDER BY t.id, u.moment DESC",
    **{name: f"SELECT {', '.join(columns)} FROM {name} ORDER BY rowid" for name, columns in PROBE.items()},
}
TIMINGS_ALONE = f"SELECT t.trial, t.seconds FROM trials t {_TIMED}"  # of files without costs


def queries(connection: sqlite3.Connection) -> dict[str, str]:
    """The query of every table that a store has."""
    there = tables_in(connection)
    found = {name: query for name, query in QUERIES.items() if name not in (*PROBE, *LATER) or name in there}
    return found if "costs" in there else found | {"timings": TIMINGS_ALONE}


def tables_in(connection: sqlite3.Connection, schema: str = "main") -> set[str]:
    """The names of the tables of a file."""
    return {name for (name,) in connection.execute(f"SELECT name FROM {schema}.sqlite_master WHERE type = 'table'")}


def gradients_at(steps: Iterable[int]) -> str:
    """The query for the gradients of some steps."""
    return f"{_GRADIENTS} WHERE g.step IN ({','.join(map(str, steps))}) {_GRADIENT_ORDER}"


@dataclass(frozen=True)
class Kept:
    """A checkpoint after ``step`` updates: name, dtype, shape, strides and bytes of each array, the hash of the
    trial's initial values, and the seconds that it took so far."""

    step: int
    arrays: Rows
    init_hash: str
    seconds: float
