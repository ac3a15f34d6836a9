"""What kernels that give the same bits each time cost on a GPU."""

from __future__ import annotations

from statistics import median

from winit_cli.bench.cases import Case
from winit_cli.bench.engines import plan_of
from winit_cli.bench.machine import kind_of, seconds_of
from winit_cli.data.dataset import Dataset
from winit_cli.engine.numerics import on_cuda
from winit_cli.engine.stack import Stack
from winit_cli.plan import Plan

WARM_UP, STEPS, REPEATS = 10, 40, 5


def determinism_costs(case: Case, trials: int, device: str, train_size: int) -> dict[str, float | None]:
    """Seconds of a trial-step of so many stacked trials with deterministic kernels and with any, in turn; ``None`` on a
    processor, where all are deterministic."""
    found: dict[bool, list[float]] = {True: [], False: []}
    if kind_of(device) == "cuda":
        plan = plan_of(case, trials, "stacked", device, train_size, WARM_UP + STEPS)
        data = plan.settings[0].dataset.to(device)
        for deterministic in [True, False] * REPEATS:
            with on_cuda("fp32", deterministic=deterministic):
                found[deterministic].append(_seconds(plan, data, device) / (STEPS * trials))
    middle = {kind: median(seconds) if seconds else None for kind, seconds in found.items()}
    return {"deterministic_seconds": middle[True], "any_kernel_seconds": middle[False]}


def _seconds(plan: Plan, data: Dataset, device: str) -> float:
    stack = Stack(plan.trials, data, batched=True)
    _train(stack, 1, WARM_UP)  # step 0 would evaluate
    return seconds_of(lambda: _train(stack, WARM_UP, WARM_UP + STEPS), device)


def _train(stack: Stack, first: int, end: int) -> None:
    for step in range(first, end):
        stack.measure(step)
        stack.update(step)
