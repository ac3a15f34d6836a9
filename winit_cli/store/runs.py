"""The runs under a results directory: found by name, searched for trials that need no repeating."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from winit_cli.errors import StorageError, UsageError, known
from winit_cli.store.digest import damaged_trials
from winit_cli.store.lock import live_owner
from winit_cli.store.reading import FILE, facts_of, has_digests, reading
from winit_cli.store.schema import BEGUN
from winit_cli.store.store import DONE


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
    # mnist means mnist-1a2b3c4d beside mnist_cnn-5e6f7a8b
    matches = [names[text]] if text in names else _beginning(names, f"{text}-") or _beginning(names, text)
    matches = [path for path in matches if not whole_of(path.name)] or matches
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f"'{text}' means more than one run: {', '.join(sorted(path.name for path in matches))}")
    if not there:
        raise UsageError(f"no run '{text}': {results} holds none; make one with: winit run mnist")
    raise UsageError(f"no run '{text}' under {results}; {known(text, sorted(names))}")


def whole_of(name: str) -> str:
    """The run of whose shard a directory has the name; empty where it is none.

    >>> whole_of("mnist-1a2b3c4d-shard3of9"), whole_of("mnist-1a2b3c4d")
    ('mnist-1a2b3c4d', '')
    """
    found = re.fullmatch(r"(.+)-shard[0-9]+of[0-9]+", name)
    return found[1] if found else ""


def _beginning(names: Mapping[str, Path], text: str) -> list[Path]:
    return [path for name, path in names.items() if name.startswith(text)]


def run_facts(path: Path) -> dict[str, Any]:
    """What the store says of its run; empty where it cannot be read."""
    with contextlib.suppress(StorageError), reading(path, wait=10) as connection:
        return facts_of(connection)
    return {}


def begun_facts(path: Path) -> dict[str, Any] | None:
    """What the store says of a run in which training has begun; ``None`` where there is none."""
    with contextlib.suppress(StorageError), reading(path, wait=10) as connection:
        if connection.execute(BEGUN).fetchone():
            return facts_of(connection)
    return None


def state_of(path: Path, facts: Mapping[str, Any]) -> str:
    """The state of a run; one that says ``running`` and has no live writer was killed."""
    state = str(facts.get("status", {}).get("state", "unreadable"))
    return "interrupted" if state == "running" and live_owner(path) is None else state


def finished_elsewhere(results: Path, but: Collection[str], identities: Iterable[str]) -> dict[Path, Mapping[str, int]]:
    """For every run but those of these names: which of the wanted identities it has finished, as which of its trials.

    Each identity is given to one run only, the oldest that has it unharmed.
    """
    wanted = set(identities)
    found: dict[Path, Mapping[str, int]] = {}
    for path in runs(results):
        if path.name not in but and wanted:
            here = _finished(path, wanted)
            if here:
                found[path] = here
                wanted -= here.keys()
    return found


def _finished(path: Path, wanted: set[str]) -> dict[str, int]:
    marks = ",".join("?" * len(DONE))
    with contextlib.suppress(StorageError), reading(path, wait=10) as connection:
        rows = connection.execute(f"SELECT identity, id FROM trials WHERE status IN ({marks})", DONE).fetchall()
        found = {identity: trial for identity, trial in rows if identity in wanted}
        bad = damaged_trials(connection, found.values()) if has_digests(connection) else []
        return {identity: trial for identity, trial in found.items() if trial not in bad}
    return {}
