"""A run in shards: each trains its share of the run's stacks into a store of its own, on whatever machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from winit_cli.engine.division import Division, division
from winit_cli.errors import UsageError
from winit_cli.plan import Plan
from winit_cli.sizes import size_text
from winit_cli.store.runs import begun_facts, run_facts


@dataclass(frozen=True)
class Shard:
    """One of so many; the first has number 1."""

    number: int
    of: int

    def __str__(self) -> str:
        """``3/9``."""
        return f"{self.number}/{self.of}"

    def directory(self, run: str) -> str:
        """``mnist-1a2b3c4d-shard3of9``: the name of its directory, given that of the whole run."""
        return f"{run}-shard{self.number}of{self.of}"

    @property
    def all(self) -> list[Shard]:
        """This one and the others, in order."""
        return [Shard(number, self.of) for number in range(1, self.of + 1)]


@dataclass(frozen=True)
class Share:
    """What a shard trains of the run of that name, all of which is divided as ``whole``."""

    shard: Shard
    run: str
    whole: Division

    @property
    def division(self) -> Division:
        """Every so many-th stack, since neighbours cost alike."""
        return replace(self.whole, stacks=self.whole.stacks[self.shard.number - 1 :: self.shard.of])

    @property
    def positions(self) -> list[int]:
        """Its trials in the plan."""
        return sorted(position for stack in self.division.stacks for position in stack)

    def facts(self) -> dict[str, Any]:
        """What its store says of it."""
        return {"shard": {**asdict(self.shard), "run": self.run, "stacks": self.whole.stacks}}


def parse_shard(text: str) -> Shard:
    """``3/9`` as typed.

    Raises:
        UsageError: it is not two whole numbers, the first from 1 to the second.
    """
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, flags=re.ASCII)
    number, of = (int(part) for part in found.groups()) if found else (0, 0)
    if not 1 <= number <= of:
        raise UsageError(
            f"--shard {text}: expected NUMBER/OF, such as 3/9 for the third of nine shards; they are numbered from 1"
        )
    return Shard(number, of)


def share_of(plan: Plan, directory: Path, env: Mapping[str, Any], shard: Shard) -> Share:
    """The share that a shard was started with, else what budget and threads of this environment give it.

    Raises:
        UsageError: there are not enough stacks to share, or another shard of the run has divided it otherwise.
    """
    begun = begun_facts(directory)
    if begun:
        return Share(shard, plan.name, Division(begun["shard"]["stacks"], begun["stacks_at_once"], begun["memory"]))
    whole = division(plan, range(len(plan.trials)), env["memory_budget_bytes"], env["threads"], gpus=env.get("gpus", 1))
    stacks = len(whole.stacks)
    if shard.of > stacks:
        raise UsageError(
            f"--shard {shard}: this run has {stacks} stack{'s' if stacks != 1 else ''} to share, so at most {stacks} "
            f"shards; use --shard N/{stacks}, or a smaller --memory, which makes more stacks of fewer trials "
            "(winit check tells how many)"
        )
    for other in shard.all:
        path = directory.parent / other.directory(plan.name)
        theirs = run_facts(path) if path != directory and path.is_dir() else {}
        if "shard" in theirs and theirs["shard"]["stacks"] != whole.stacks:
            raise UsageError(
                f"--shard {shard}: {path} divides the run into other stacks, so the two could not be joined; it has "
                f"{_sizes(theirs['env'])}, here {_sizes(env)} (OMP_NUM_THREADS=… and --memory … set them)"
            )
    return Share(shard, plan.name, whole)


def _sizes(env: Mapping[str, Any]) -> str:
    return f"{env['threads']} threads and {size_text(env['memory_budget_bytes'])}"
