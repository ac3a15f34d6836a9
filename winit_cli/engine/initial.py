"""What a trial begins with."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import torch
from torch import nn

from winit_cli.plan import Trial
from winit_cli.schemes.apply import initialize
from winit_cli.schemes.audit import InitRecord, audit

ALONE = threading.Lock()  # a user's scheme or model may draw from global generators


def initialized(trial: Trial) -> tuple[nn.Module, list[InitRecord]]:
    """The model of a trial with its initial values, and their audit; the same bits from every engine."""
    with ALONE, one_thread():
        model = trial.setting.build(trial.seed)
        return model, audit(initialize(model, trial.entry.recipe, trial.seed))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Matrix products in parts, as several threads make them, may round otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
