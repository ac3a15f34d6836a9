"""What the rules look at: every label of a plan with its parameters, and what they find."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from winit_cli.config import Document, Path_, SchemeEntry
from winit_cli.plan import Plan
from winit_cli.schemes.apply import Assignment, assign
from winit_cli.schemes.audit import expected
from winit_cli.schemes.recipe import Use
from winit_cli.schemes.slots import LAYERS, Slot
from winit_cli.setting import Setting
from winit_cli.theory.moments import Moments

Severity = Literal["warning", "note"]
EXAMPLES = 512  # of the training part that tell how large inputs are
UNTOUCHED = ("pytorch_default", "as_built")  # schemes that leave a parameter to the layer or the model


@dataclass(frozen=True)
class Filled:
    """A parameter with the scheme that fills it and the moments expected of its values."""

    slot: Slot
    use: Use
    rule: str
    moments: Moments

    @property
    def name(self) -> str:
        """As in ``named_parameters``."""
        return self.slot.name

    @property
    def is_constant(self) -> bool:
        """Whether all its values are one number."""
        return self.moments.std == 0 and self.moments.mean is not None

    @property
    def is_zero(self) -> bool:
        """Whether all its values are 0."""
        return self.is_constant and self.moments.mean == 0


@dataclass(frozen=True)
class Label:
    """One entry of ``schemes:``, the ``index``-th, with one combination of the varied values."""

    index: int
    entry: SchemeEntry
    setting: Setting
    document: Document

    @property
    def name(self) -> str:
        """As in every table."""
        return self.entry.label + self.setting.suffix

    @cached_property
    def parameters(self) -> tuple[Filled, ...]:
        """In the model's order."""
        return tuple(map(_filled, assign(self.setting.rehearsal.slots, self.entry.recipe)))

    @property
    def weights(self) -> Iterator[Filled]:
        """The weights of layers that winit knows."""
        return (filled for filled in self.parameters if filled.slot.kind in LAYERS)

    def named(self, name: str) -> Filled | None:
        """A parameter by its name."""
        return next((filled for filled in self.parameters if filled.name == name), None)

    @cached_property
    def _inputs(self) -> Tensor:
        """Some training examples, evenly spread, each as a row."""
        x = self.setting.dataset.train.x
        return x[:: max(1, len(x) // EXAMPLES)].flatten(1).double()

    @cached_property
    def input_square(self) -> float:
        """Mean square of the inputs; 0 for tokens."""
        return 0.0 if self.setting.task.vocabulary else float(self._inputs.square().mean())

    def input_means(self, count: int) -> list[float]:
        """So many means of single examples, from the smallest to the largest."""
        means = self._inputs.mean(1).sort().values
        return [float(mean) for mean in means[torch.linspace(0, len(means) - 1, count).long()]]

    def path(self, cause: Filled | None = None, *options: str) -> Path_:
        """Where the config says how a parameter is filled: the first of some options that it gives, or the entry."""
        part, _, number = cause.rule.partition(".") if cause else ("", "", "")
        own = ("rules", int(number)) if part == "rules" else (part,) if part in ("others", "bias", "fallback") else ()
        path: Path_ = ("schemes", self.index, *own)
        return next(((*path, option) for option in options if (*path, option) in self.document.places), path)


def _filled(assignment: Assignment) -> Filled:
    return Filled(assignment.slot, assignment.use, assignment.rule, expected(assignment))


@dataclass(frozen=True)
class Study:
    """A plan and its labels, in its order."""

    plan: Plan

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """All of them, variant by variant."""
        return tuple(
            Label(index, entry, setting, variant.document)
            for variant, setting in zip(self.plan.config.variants, self.plan.settings, strict=True)
            for index, entry in enumerate(setting.experiment.schemes)
        )

    @property
    def by_variant(self) -> list[list[Label]]:
        """The labels that are compared with each other."""
        return [[label for label in self.labels if label.setting is setting] for setting in self.plan.settings]


@dataclass(frozen=True)
class Found:
    """What a rule finds: the labels for which it holds, the path in the config of what causes it, what is so, with the
    number behind it, and what to write instead. ``extent`` tells the worst of several that differ in numbers alone."""

    labels: tuple[Label, ...]
    path: Path_
    reason: str
    cure: str
    severity: Severity = "warning"
    extent: float = 0.0
