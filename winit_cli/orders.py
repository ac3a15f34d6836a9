"""What is trained together, as plain data that another process or machine can be given, and the records of it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

from winit_cli.data.dataset import Dataset
from winit_cli.engine.records import Checkpoint
from winit_cli.engine.serial import train_trial
from winit_cli.engine.stacked import Record, train_stack
from winit_cli.plan import Plan, Trial

Records = Generator[list[tuple[int, Record]], None, None]


@dataclass(frozen=True)
class Order:
    """Trials, by their positions in the plan, that one engine trains together. Those that are ``done`` only keep their
    place; ``checkpoints`` are what the others go on from, all of one step, or ``None``."""

    positions: list[int]
    done: list[bool]
    checkpoints: list[Checkpoint | None]


class Trainer:
    """Trains orders of a plan on its device, to which it moves the data once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._on_device: dict[str, Dataset] = {}

    def records(self, order: Order, is_due: Callable[[], bool]) -> Records:
        """What the trials yield, each with its place in the order; ``is_due`` asks for checkpoints."""
        trials = [self.plan.trials[position] for position in order.positions]
        data = self._data(trials[0])
        if trials[0].setting.engine == "stacked":
            return train_stack(trials, data, order.checkpoints, is_due, ended=list(order.done))
        return ([(0, record)] for record in train_trial(trials[0], data, order.checkpoints[0], is_due))

    def _data(self, trial: Trial) -> Dataset:
        data = trial.setting.dataset
        if data.fingerprint not in self._on_device:
            self._on_device = {data.fingerprint: data.to(trial.setting.device)}
        return self._on_device[data.fingerprint]
