"""What a trial begins with."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from winit_cli.engine.records import Started
from winit_cli.engine.units import first_units
from winit_cli.errors import UsageError
from winit_cli.plan import Trial
from winit_cli.schemes.apply import initialize
from winit_cli.schemes.assign import rates_of
from winit_cli.schemes.audit import InitRecord, audit, improbable, init_hash
from winit_cli.schemes.fitting import Cost, Examples

ALONE = threading.Lock()  # a user's scheme or model may draw from global generators


@dataclass(frozen=True)
class Initial:
    """A model with its initial values, their audit, what schemes took that looked at data, what multiplies the
    learning rate of each parameter, by name, and in words what is not as its scheme promises."""

    model: nn.Module
    records: list[InitRecord]
    cost: Cost
    rates: dict[str, float]
    warnings: tuple[str, ...]


def initialized(trial: Trial) -> Initial:
    """What a trial begins with; the same bits from every engine."""
    setting, cost = trial.setting, Cost()
    part = setting.dataset.train
    with ALONE, one_thread():
        model = setting.build(trial.seed)
        examples = Examples(part.x, part.y, setting.loss.function)
        try:
            assignments = initialize(model, trial.entry.recipe, trial.seed, examples, cost)
        except UsageError as error:
            if type(error) is not UsageError:
                raise  # it says more than its text
            raise UsageError(f"label {trial.label}: {error}") from None
    records, rates = audit(assignments), rates_of(assignments, setting.train.optimizer)
    return Initial(model, records, cost, rates, (*cost.remarks, *improbable(assignments, records)))


def started(initial: Initial, input_shape: tuple[int, ...]) -> Started:
    """What an engine reports of it."""
    units = first_units(initial.model, input_shape)
    return Started(initial.records, init_hash(initial.records), units, initial.cost, initial.warnings)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Matrix products in parts, as several threads make them, may round otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
