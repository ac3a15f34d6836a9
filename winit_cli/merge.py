"""Shards joined into the run that they are shares of, with the tables of a run that was never cut up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from winit_cli.errors import UsageError
from winit_cli.parts import Part, parts_of, said_of
from winit_cli.run_files import write_tables
from winit_cli.store.lock import writing
from winit_cli.store.probed import take_over
from winit_cli.store.store import Store


@dataclass(frozen=True)
class Merged:
    """The run, whether it was there before, and why trials failed."""

    directory: Path
    was_there: bool
    failures: list[str]


def merge(results: Path, texts: Sequence[str], note: Callable[[str], None]) -> Merged:
    """Join the shards that ``parts_of`` finds into a run under a results directory, unless that was done before.

    What differs between the machines that they ran on is said aloud, and kept in the run's environment.

    Raises:
        UsageError: they are not all of one run, each of them once and done, or the run was begun in another way.
        LockedError: another process is writing the run.
        StorageError: a shard is damaged, or the disk refuses.
    """
    parts = parts_of(results, texts)
    differs = list(said_of(parts))
    for text in differs:
        note(text)
    directory = results / parts[0].facts["shard"]["run"]
    with writing(directory) as owner, Store(directory, owner) as store:
        was_there = _was_there(store)
        if not was_there:
            _join(store, parts, differs)
        write_tables(store, note)
        store.write_status("failed" if store.unfinished() else "complete")
        return Merged(directory, was_there, store.failures())


def _was_there(store: Store) -> bool:
    """Whether the run is there already, all of it.

    Raises:
        UsageError: it was begun in another way, and is not done.
    """
    if store.meta("config") is None or store.meta("joining"):
        return False
    if store.counts()["pending"]:
        raise UsageError(
            f"{store.directory} was begun without shards and is not done; complete it with its own command, or join "
            "the shards elsewhere: winit merge SHARD… --results DIR"
        )
    return True


def _join(store: Store, parts: Sequence[Part], differs: Sequence[str]) -> None:
    """Take all trials over; what was interrupted is done again."""
    first = parts[0].facts
    kept = {key: first[key] for key in ("config", "labels", "recipes", "data", "stacks_at_once", "memory")}
    store.set_meta(
        **kept,
        env=first["env"] | ({"shards": list(differs)} if differs else {}),
        status={"state": "running", "trials": {}},
        stacks=[stack for part in parts for stack in part.facts["stacks"]],
        halved=[text for part in parts for text in part.facts["halved"]],
        joining=True,
    )
    take_over(store, parts[0].path)
    for part in parts:
        store.join(part.path)
    store.set_meta(joining=False)
