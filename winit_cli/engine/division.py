"""What a run trains together, how much of it at once, and what that takes: one answer for a run and its dry run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from winit_cli.engine.stacks import bytes_of, divide
from winit_cli.plan import Plan
from winit_cli.setting import Setting
from winit_cli.sizes import size_text

ALONE = 4  # copies of the weights that a serial trial has: themselves, gradients, two states of an optimizer


@dataclass(frozen=True)
class Division:
    """``stacks`` of positions in a plan, ``at_once`` of which train side by side; ``budget`` in bytes is what those
    may take."""

    stacks: list[list[int]]
    at_once: int
    budget: int

    def facts(self) -> dict[str, Any]:
        """What a run records, so that it goes on with the same stacks."""
        return {"stacks": self.stacks, "stacks_at_once": self.at_once, "memory": self.budget}


def division(
    plan: Plan,
    missing: Sequence[int],
    budget: int,
    threads: int,
    kept: Mapping[str, Any] | None = None,
    gpus: int = 1,
) -> Division:
    """The stacks of trials that are ``missing``; those that a run which has begun ``kept`` stay as they are."""
    if kept is None or kept.get("stacks_at_once") is None:
        at_once = _at_once(plan, missing, budget, threads) if plan.is_on_cpu else min(gpus, max(1, len(missing)))
        return Division(divide(plan.trials, missing, budget, at_once), at_once, budget)
    at_once, budget = kept["stacks_at_once"], kept["memory"]
    placed = {position for stack in kept["stacks"] for position in stack}
    others = [position for position in missing if position not in placed]  # copied once, and damaged since
    return Division([*kept["stacks"], *divide(plan.trials, others, budget, at_once)], at_once, budget)


def unfinished(stacks: Sequence[list[int]], missing: Collection[int]) -> list[list[int]]:
    """The stacks in which a trial is missing; its neighbours keep their places."""
    wanted = set(missing)
    return [stack for stack in stacks if wanted & set(stack)]


def bytes_by_stack(plan: Plan, stacks: Sequence[Sequence[int]]) -> list[int]:
    """An estimate of what each stack takes, without the data."""
    of_one: dict[int, int] = {}
    found = []
    for stack in stacks:
        setting = plan.trials[stack[0]].setting
        of_one[id(setting)] = of_one.get(id(setting)) or bytes_of_trial(setting)
        found.append(len(stack) * of_one[id(setting)])
    return found


def bytes_of_trial(setting: Setting) -> int:
    """An estimate of what one trial takes; a trial by itself is counted by its weights alone."""
    if setting.engine == "serial":
        return 4 * ALONE * sum(slot.parameter.numel() for slot in setting.rehearsal.slots)
    with torch.device("meta"):
        model = setting.model.build(setting.task, **setting.experiment.model.options)
    return bytes_of(setting, model)


def too_large(plan: Plan, missing: Sequence[int], budget: int) -> str | None:
    """What is said where a trial by itself takes more than the budget."""
    most = _largest_trial(plan, missing)
    if most <= budget:
        return None
    return f"one trial takes about {size_text(most)}, more than the budget of {size_text(budget)}: it trains alone"


def left_aside(asked_for: int | None, kept: int) -> str | None:
    """What is said where a run that goes on is given another budget."""
    if asked_for is None or asked_for == kept:
        return None
    return (
        f"--memory {size_text(asked_for)} is left aside: this run was started with {size_text(kept)} and keeps its "
        "stacks (--fresh starts another)"
    )


def _at_once(plan: Plan, missing: Sequence[int], budget: int, threads: int) -> int:
    """On a processor a stack for each thread, or as many as fit with a trial each."""
    if plan.engine == "serial":
        return 1
    return max(1, min(threads, len(missing), budget // max(1, _largest_trial(plan, missing))))


def _largest_trial(plan: Plan, missing: Sequence[int]) -> int:
    settings = {id(plan.trials[position].setting): plan.trials[position].setting for position in missing}
    return max(map(bytes_of_trial, settings.values()), default=0)
