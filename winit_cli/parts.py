"""The shards of a run on disk: which are meant, and whether they make a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winit_cli.environment import REFUSED_IF_DIFFERENT, SHOWN_IF_DIFFERENT, differences
from winit_cli.errors import UsageError
from winit_cli.shards import Shard
from winit_cli.store.lock import live_owner
from winit_cli.store.reading import facts_of, reading, refuse_damage
from winit_cli.store.runs import find_run, runs, whole_of

ENVIRONMENT = (*REFUSED_IF_DIFFERENT, *SHOWN_IF_DIFFERENT)
NAMED = 10  # shards, in a message


@dataclass(frozen=True)
class Part:
    """A shard on disk: what its store says of the run, and how many of its trials were not tried yet."""

    path: Path
    facts: dict[str, Any]
    pending: int

    @property
    def shard(self) -> Shard:
        """Which of how many."""
        return Shard(self.facts["shard"]["number"], self.facts["shard"]["of"])

    def __str__(self) -> str:
        return f"shard {self.shard} ({self.path})"


def parts_of(results: Path, texts: Sequence[str]) -> list[Part]:
    """The shards that texts name, or all shards of the runs that they name; without a text, those of the newest.

    Raises:
        UsageError: they are not all of one run, each of them once and done; all faults at once.
        StorageError: one is damaged.
    """
    parts = sorted(map(_read, _meant(results, texts)), key=lambda part: (part.shard.number, str(part.path)))
    faults = [*(fault for part in parts[1:] if (fault := _unlike(part, parts[0]))), *_gaps(parts), *_undone(parts)]
    if faults:
        raise UsageError("the shards cannot be joined:\n" + "\n".join(f"  {fault}" for fault in faults))
    return parts


def _meant(results: Path, texts: Sequence[str]) -> list[Path]:
    """The directories that are meant, each once."""
    there = {path.name: path for path in runs(results)}
    if not texts:
        wholes = [whole for name in there if (whole := whole_of(name))]
        if not wholes:
            raise UsageError(f"no shards under {results}; make them with: winit run CONFIG --shard 1/2, and 2/2")
        texts = wholes[-1:]
    found: dict[Path, Path] = {}
    for text in texts:
        mine = [path for name, path in there.items() if whole_of(name) == text]
        for path in mine or [find_run(results, text)]:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _read(path: Path) -> Part:
    with reading(path) as connection:
        refuse_damage(connection, path)
        facts = facts_of(connection)
        (pending,) = connection.execute("SELECT count(*) FROM trials WHERE status = 'pending'").fetchone()
    if "config" not in facts:
        raise UsageError(f"{path} was only just begun and holds nothing yet; its own command goes on with it")
    if "shard" not in facts:
        raise UsageError(f"{path} is a whole run and no shard; winit run CONFIG --shard 1/2 makes one")
    return Part(path, facts, pending)


def _unlike(part: Part, first: Part) -> str:
    """Why a shard is not of the same run as the first; empty where it is."""
    theirs, ours = part.facts["shard"], first.facts["shard"]
    if theirs["run"] != ours["run"]:
        return f"{part} is of the run {theirs['run']}, {first} of {ours['run']}: their configs differ"
    if theirs["of"] != ours["of"]:
        return f"{part} is one of {theirs['of']}, {first} one of {ours['of']}"
    if theirs["stacks"] != ours["stacks"]:
        differs = differences(part.facts["env"], first.facts["env"], (*ENVIRONMENT, "memory_budget_bytes"))
        return f"{part} divides the run into other stacks than {first} ({differs}); train one of them anew"
    keys = [key for key, value in first.facts["config"].items() if part.facts["config"].get(key) != value]
    if keys:
        return (
            f"{part} has another config than {first} ({', '.join(keys)}); run the commands of all shards with one "
            "config, which trains nothing anew"
        )
    return ""


def _gaps(parts: Sequence[Part]) -> Iterator[str]:
    """Which shards are missing, and which are there more than once."""
    there: dict[Shard, list[Path]] = {}
    for part in parts:
        there.setdefault(part.shard, []).append(part.path)
    for shard, paths in there.items():
        if len(paths) > 1:
            yield f"shard {shard} is there {len(paths)} times: {', '.join(map(str, paths))}; name one of them"
    missing = [shard for shard in parts[0].shard.all if shard not in there]
    if missing:
        listed = ", ".join(map(str, missing[:NAMED])) + (", …" if len(missing) > NAMED else "")
        yield f"missing: shard {listed}; to train one: winit run CONFIG --shard {missing[0]}"


def _undone(parts: Sequence[Part]) -> Iterator[str]:
    """Which shards still train, or were interrupted."""
    for part in parts:
        owner = live_owner(part.path)
        if owner or part.pending:
            left = f"{part.pending} trial{'s' if part.pending != 1 else ''} left"
            how = f"{owner} is writing it" if owner else "its own command goes on where it stopped"
            yield f"{part} is not done ({left}): {how}"


def said_of(parts: Sequence[Part]) -> Iterator[str]:
    """In what the machines of the others differ from that of the first, in words."""
    first, *others = parts
    for part in others:
        differs = differences(part.facts["env"], first.facts["env"], ENVIRONMENT)
        if differs:
            yield f"shard {part.shard} ran with {differs} as shard {first.shard} did: last digits may differ"
