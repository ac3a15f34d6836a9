"""Whether a run is what was recorded: its file, its hashes, its tables, and the weights that its trials began with."""

from __future__ import annotations

import contextlib
import filecmp
import json
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from winit_cli.config import dump
from winit_cli.errors import StorageError, UsageError
from winit_cli.export.stored import StoredRun, read_stored
from winit_cli.export.tables import to_csv
from winit_cli.export.weights import initial_hash
from winit_cli.plan import make_plan
from winit_cli.store.digest import damaged_trials, is_meta_whole, is_probe_whole, was_probed
from winit_cli.store.files import sqlite_uri
from winit_cli.store.reading import FILE, check_format, has_digests, reading, unreadable
from winit_cli.store.runs import run_facts, state_of

LISTED = 5


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``is_whole`` is ``None`` where it could not be looked at."""

    what: str
    is_whole: bool | None
    said: str


def verify(run: Path, model: str | None = None, loss: str | None = None) -> list[Finding]:
    """Look at everything that a run recorded; ``model`` and ``loss`` are a user's own, loaded."""
    findings = [_structure(run)]
    if findings[0].is_whole is False:
        return findings
    findings += [_facts(run), _trials(run), _probe(run)]
    if all(finding.is_whole is not False for finding in findings):
        findings += [*_files(run), _tables(run), _weights(run, model, loss)]
    return findings


def _structure(run: Path) -> Finding:
    what = f"structure of {FILE}"
    try:
        with unreadable(run), contextlib.closing(sqlite3.connect(sqlite_uri(run / FILE), uri=True)) as connection:
            check_format(connection, run)
            found = [text for (text,) in connection.execute("PRAGMA integrity_check(5)")]
    except (StorageError, sqlite3.Error) as error:
        return Finding(what, False, str(error))
    return Finding(what, found == ["ok"], "SQLite's own check" if found == ["ok"] else "; ".join(found))


def _facts(run: Path) -> Finding:
    with reading(run, is_trusted=False) as connection:
        if not has_digests(connection):
            return Finding("config and environment", None, "a run of the first format, which has no hashes")
        is_whole = is_meta_whole(connection)
    return Finding("config and environment", is_whole, "as recorded" if is_whole else "not what was recorded")


def _trials(run: Path) -> Finding:
    with reading(run, is_trusted=False) as connection:
        names = dict(connection.execute("SELECT id, trial FROM trials ORDER BY id").fetchall())
        if not has_digests(connection):
            return Finding("trials", None, "a run of the first format, which has no hashes")
        bad = [str(names[trial]) for trial in damaged_trials(connection)]
    if bad:
        return Finding("trials", False, f"{len(bad)} of {len(names)} are not what was recorded: {_some(bad)}")
    return Finding("trials", True, f"all {len(names)} as recorded")


def _probe(run: Path) -> Finding:
    what = "what was measured before training"
    with reading(run, is_trusted=False) as connection:
        is_whole, is_any = is_probe_whole(connection), was_probed(connection)
    as_recorded = "as recorded" if is_any else "nothing was measured"
    said = as_recorded if is_whole else "not what was recorded; its config's command measures it anew"
    return Finding(what, is_whole, said)


def _files(run: Path) -> Iterator[Finding]:
    facts = run_facts(run)
    wanted = {"config.yaml": dump(facts["config"]), "env.json": facts["env"], "status.json": facts["status"]}
    for name, content in wanted.items():
        try:
            text = (run / name).read_text(encoding="utf-8")
            is_same = (json.loads(text) if name.endswith(".json") else text) == content
            yield Finding(name, is_same, "as in the store" if is_same else "not what the store has")
        except FileNotFoundError:
            yield Finding(name, False, "missing")
        except (OSError, ValueError) as error:
            yield Finding(name, False, f"cannot be read: {error}")


def _tables(run: Path) -> Finding:
    """The CSV files against what the store would write."""
    if state_of(run, run_facts(run)) not in ("complete", "failed"):
        return Finding("tables", None, "not written before the run is complete")
    with tempfile.TemporaryDirectory() as folder:
        out = to_csv(run, Path(folder) / "tables").directory
        names = sorted(path.name for path in out.iterdir())
        there = [name for name in names if name != "gradients.csv" or (run / name).exists()]
        same, *others = filecmp.cmpfiles(out, run, there, shallow=False)
    bad = [name for names in others for name in names]
    if bad:
        return Finding("tables", False, f"not as in the store: {_some(bad)}; the run's own command writes them anew")
    return Finding("tables", True, f"{len(same)} as in the store")


def _weights(run: Path, model: str | None, loss: str | None) -> Finding:
    """Every trial's initial values, made again."""
    what, stored = "initial weights", read_stored(run)
    try:
        plan = make_plan(stored.config(model, loss), "cpu")
    except UsageError as error:
        return Finding(what, None, f"not made again: {error}")
    recorded = {(t.label, t.lr, t.seed): t.init_hash for t in stored.trials if t.init_hash is not None}
    made: dict[tuple[str, int], str] = {}
    bad = []
    for trial in plan.trials:
        if (trial.label, trial.lr, trial.seed) in recorded:
            key = (trial.label, trial.seed)  # the learning rate has no part in it
            made[key] = made.get(key) or initial_hash(trial)
            if made[key] != recorded[(trial.label, trial.lr, trial.seed)]:
                bad.append(trial.key)
    if bad:
        said = f"{len(bad)} of {len(recorded)} come out otherwise here: {_some(bad)} ({_where(stored)})"
        return Finding(what, False, said)
    return Finding(what, True, f"{len(recorded)} made again, all with the recorded hash")


def _where(stored: StoredRun) -> str:
    return f"the run had torch {stored.env['torch']} on {stored.env['cpu']}"


def _some(names: list[str]) -> str:
    return ", ".join(names[:LISTED]) + (", …" if len(names) > LISTED else "")
