"""Which engine trains the trials of a setting: a rule over model, device and number of trials, no timing."""

from __future__ import annotations

import torch

from winit_cli.models.lift import without_twin
from winit_cli.setting import Setting


def one_at_a_time(setting: Setting) -> str | None:
    """Why the trials of a setting cannot be trained as a stack; ``None`` if they can."""
    if setting.model.source:
        return f"model {setting.model.name} is code from outside"
    if setting.loss.stacked is None:
        return f"loss {setting.loss.name} has no form for many trials"
    with torch.device("meta"):
        layer = without_twin(setting.model.build(setting.task, **setting.experiment.model.options))
    return f"its layer {layer} has no form for many trials" if layer else None


def engine_of(setting: Setting, trials: int) -> tuple[str, str | None]:
    """``stacked`` or ``serial`` for so many trials, and what is to be said aloud of it.

    A single trial is fastest by itself, with all threads for it; two or more are fastest as stacks, one thread for each
    stack (``winit bench`` measures both).
    """
    asked = setting.experiment.general.engine
    if asked == "serial":
        return "serial", None
    reason = one_at_a_time(setting)
    if reason is not None:
        return "serial", f"trained one trial after another (engine: serial), since {reason}"
    return ("serial" if asked == "auto" and trials == 1 else "stacked"), None
