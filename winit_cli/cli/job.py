"""How large a job is: what a run would train from here, in how many stacks, and what that takes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch

from winit_cli.engine.division import Division, bytes_by_stack, division, left_aside, too_large, unfinished
from winit_cli.plan import Plan
from winit_cli.setting import Setting
from winit_cli.sizes import MEMORY
from winit_cli.store.runs import begun_facts, finished_elsewhere

# bytes per row, measured on a run of configs/mnist.yaml; longer labels take a little more in the CSV files
CURVE_ROW, GRADIENT_ROW, INIT_ROW = 37, 21, 159  # in run.sqlite (dbstat)
CSV_CURVE_ROW, CSV_GRADIENT_ROW, CSV_INIT_ROW = 78, 78, 206


def missing_trials(plan: Plan, results: Path) -> list[int]:
    """The positions of trials that no run has finished."""
    identities = [trial.identity for trial in plan.trials]
    there = finished_elsewhere(results, (), identities).values()
    finished = {identity for found in there for identity in found}
    return [position for position, identity in enumerate(identities) if identity not in finished]


def division_of(
    plan: Plan, missing: list[int], results: Path, asked_for: int | None, gpus: int = 1
) -> tuple[Division, list[str]]:
    """The stacks that a run would train from here, and what it would say of them."""
    kept = begun_facts(results / plan.name)
    threads = kept["env"]["threads"] if kept else torch.get_num_threads()
    divided = division(plan, missing, asked_for or MEMORY, threads, kept, gpus)
    said = left_aside(asked_for, divided.budget) if kept else too_large(plan, missing, divided.budget)
    return divided, [said] if said and missing else []


def size_of(plan: Plan, missing: list[int], divided: Division) -> dict[str, Any]:
    """Trials, updates, stacks that are left, and estimates of memory and disk in bytes."""
    stacks = unfinished(divided.stacks, missing)
    at_once = min(divided.at_once, len(stacks))
    trials_of = {setting.suffix: 0 for setting in plan.settings}
    for trial in plan.trials:
        trials_of[trial.setting.suffix] += 1
    return {
        "run": plan.name,
        "trials": len(plan.trials),
        "already_trained": len(plan.trials) - len(missing),
        "labels": len(plan.labels),
        "updates": sum(trials_of[s.suffix] * s.steps for s in plan.settings),
        "parameters": sorted({_parameters(s)[1] for s in plan.settings}),
        "engine": plan.engine,
        "stacks": len(stacks),
        "largest_stack": max(map(len, stacks), default=0),
        "stacks_at_once": at_once,
        "memory_budget_bytes": divided.budget,
        "memory_bytes": max(map(_data, plan.settings)) + sum(sorted(bytes_by_stack(plan, stacks))[-at_once:]),
        "disk_bytes": sum(trials_of[s.suffix] * _disk(s) for s in plan.settings),
    }


def _parameters(setting: Setting) -> tuple[int, int]:
    """Number of parameter tensors, and of parameters."""
    shapes = [slot.shape for slot in setting.rehearsal.slots]
    return len(shapes), sum(math.prod(shape) for shape in shapes)


def _data(setting: Setting) -> int:
    """What the data takes."""
    data = setting.dataset
    parts = [part for part in (data.train, data.val, data.test) if part is not None]
    return sum(part.x.numel() * 4 + part.y.numel() * 8 for part in parts)


def _disk(setting: Setting) -> int:
    """Rows of one trial in the store and in the CSV files."""
    tensors, _ = _parameters(setting)
    measured, tested = setting.steps // setting.every + 2, setting.steps // setting.test_every + 2
    curves = measured + tested
    return (
        curves * (CURVE_ROW + CSV_CURVE_ROW)
        + measured * tensors * (GRADIENT_ROW + CSV_GRADIENT_ROW)
        + tensors * (INIT_ROW + CSV_INIT_ROW)
        + 2 * 8 * 4 * math.prod(setting.task.input_shape)
    )
