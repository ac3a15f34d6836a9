"""What it takes to draw the weights of one trial: on the processor and copied, or on the device itself."""

from __future__ import annotations

from statistics import median
from typing import Any

import torch

from winit_cli.bench.cases import Case
from winit_cli.bench.loops import plain_model
from winit_cli.bench.machine import kind_of, seconds_of
from winit_cli.plan import Trial
from winit_cli.schemes.apply import initialize

REPEATS = 9


def drawing_costs(case: Case, trial: Trial, device: str) -> dict[str, Any]:
    """Medians in seconds: winit's own way on the processor and, with a GPU, the copy and torch's drawing there."""

    def draw() -> torch.nn.Module:
        model = trial.setting.build(trial.seed)
        initialize(model, trial.entry.recipe, trial.seed)
        return model

    def draw_there() -> None:
        with torch.device(device):
            plain_model(case)

    found: dict[str, Any] = {"draw": _median(draw, "cpu"), "copy": None, "draw_on_gpu": None}
    if kind_of(device) == "cuda":
        models = iter([draw() for _ in range(REPEATS + 1)])  # a module that was moved needs no copy again
        found["copy"] = _median(lambda: next(models).to(device), device)
        found["draw_on_gpu"] = _median(draw_there, device)
    return found


def _median(work: Any, device: str) -> float:
    work()
    return median(seconds_of(work, device) for _ in range(REPEATS))
