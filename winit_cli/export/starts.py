"""How the weights of trials were distributed at the start: drawn again, and held against the recorded hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from winit_cli.engine.initial import initialized
from winit_cli.plan import Plan
from winit_cli.schemes.audit import init_hash

BINS = 40
SOME = 3  # trials that are named


@dataclass(frozen=True)
class Histogram:
    """Finite values in bins of equal width: how many there are, the smallest and the largest, sum, sum of squares, and
    of each bin the right edge and how many values it has."""

    size: int
    low: float
    high: float
    total: float
    squares: float
    edges: list[float]
    counts: list[float]


def histogram(values: Tensor) -> Histogram | None:
    """Of a tensor; one bin where all values are equal, ``None`` where none is finite."""
    numbers = values.detach().flatten().double()
    numbers = numbers[numbers.isfinite()]
    if not len(numbers):
        return None
    low, high = (bound.item() for bound in numbers.aminmax())
    edges, counts = [high], [float(len(numbers))]
    if low < high:
        counted, borders = torch.histogram(numbers, BINS, range=(low, high))
        edges, counts = borders[1:].tolist(), counted.tolist()
    return Histogram(len(numbers), low, high, numbers.sum().item(), numbers.square().sum().item(), edges, counts)


class Starts:
    """Histograms by parameter of trials that begin with the same weights here as in their run."""

    def __init__(self, plan: Plan) -> None:
        self._otherwise: list[str] = []
        self._trials = {trial.key: trial for trial in plan.trials}
        self._label, self._made = "", dict[str, Mapping[str, Histogram]]()

    def of(self, key: str, recorded: str) -> Mapping[str, Histogram]:
        """Of the trial ``key``, which began with weights of the hash ``recorded``; nothing where it does not here.

        Trials of one label that begin alike, at whatever learning rate, are drawn once.
        """
        trial = self._trials.get(key)
        if trial is not None and self._label != trial.label:
            self._label, self._made = trial.label, {}
        if trial is not None and recorded not in self._made:
            initial = initialized(trial)
            found = {name: histogram(value) for name, value in initial.model.named_parameters()}
            self._made[init_hash(initial.records)] = {name: one for name, one in found.items() if one is not None}
        if recorded not in self._made:
            self._otherwise.append(key)
        return self._made.get(recorded, {})

    @property
    def notes(self) -> list[str]:
        """Which trials begin otherwise here, if any do."""
        if not self._otherwise:
            return []
        some = ", ".join(self._otherwise[:SOME]) + (", …" if len(self._otherwise) > SOME else "")
        return [f"without histograms of the weights at the start, which come out otherwise here: {some}"]
