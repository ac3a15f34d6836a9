"""The runs under a results directory: found by name, searched for trials that need no repeating."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from winit_cli.errors import UsageError, known
from winit_cli.store.files import sqlite_uri
from winit_cli.store.store import DONE, FILE


def runs(results: Path) -> list[Path]:
    """The run directories, the oldest first."""
    found = [path.parent for path in results.glob(f"*/{FILE}")]
    return sorted(found, key=lambda path: ((path / FILE).stat().st_mtime_ns, path.name))


def find_run(results: Path, text: str | None) -> Path:
    """The run that a path, a directory name or a unique prefix of one means; the newest without a text.

    Raises:
        UsageError: there is none, or more than one.
    """
    there = runs(results)
    if text is None:
        if not there:
            raise UsageError(f"no runs under {results}; make one with: winit run mnist")
        return there[-1]
    if (Path(text) / FILE).is_file():
        return Path(text)
    names = {path.name: path for path in there}
    matches = [names[text]] if text in names else [path for name, path in names.items() if name.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f"'{text}' means more than one run: {', '.join(sorted(path.name for path in matches))}")
    if not there:
        raise UsageError(f"no run '{text}': {results} holds none; make one with: winit run mnist")
    raise UsageError(f"no run '{text}' under {results}; {known(text, sorted(names))}")


def run_facts(path: Path) -> dict[str, Any]:
    """What the store says of its run; empty where it cannot be read."""
    with contextlib.suppress(sqlite3.Error, OSError), _reading(path) as connection:
        return {key: json.loads(value) for key, value in connection.execute("SELECT key, value FROM meta")}
    return {}


def finished_elsewhere(results: Path, but: Path, identities: Iterable[str]) -> dict[Path, Mapping[str, int]]:
    """For every other run: which of the wanted identities it has finished, and as which of its trials.

    Each identity is given to one run only, the oldest that has it.
    """
    wanted = set(identities)
    found: dict[Path, Mapping[str, int]] = {}
    for path in runs(results):
        if path.name != but.name and wanted:
            here = {key: trial for key, trial in _finished(path) if key in wanted}
            if here:
                found[path] = here
                wanted -= here.keys()
    return found


def _finished(path: Path) -> list[tuple[str, int]]:
    marks = ",".join("?" * len(DONE))
    with contextlib.suppress(sqlite3.Error, OSError), _reading(path) as connection:
        return list(connection.execute(f"SELECT identity, id FROM trials WHERE status IN ({marks})", DONE))
    return []


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(sqlite_uri(path / FILE), uri=True, timeout=10)
    try:
        yield connection
    finally:
        connection.close()
