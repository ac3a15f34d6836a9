"""What the rules look at: every label of a plan with its parameters, and what they find."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from winit_cli.config import Document, Path_, SchemeEntry
from winit_cli.lint.chain import Chain, chain_of
from winit_cli.lint.filled import Filled, filled_by
from winit_cli.lint.inputs import Inputs
from winit_cli.lint.prediction import Prediction, is_centred, is_drawn, predict
from winit_cli.lint.shifted import predict_shifted
from winit_cli.plan import Plan
from winit_cli.schemes.recipe import PARTS, Use
from winit_cli.schemes.slots import LAYERS
from winit_cli.setting import Setting

Severity = Literal["warning", "note"]
KEYS = ("others", "bias", "fallback", *PARTS)  # of an entry, which rules are named after


@dataclass(frozen=True, eq=False)
class Label:
    """One entry of ``schemes:``, the ``index``-th, with one combination of the varied values."""

    index: int
    entry: SchemeEntry
    setting: Setting
    document: Document
    inputs: Inputs

    @property
    def name(self) -> str:
        """As in every table."""
        return self.entry.label + self.setting.suffix

    @cached_property
    def by_name(self) -> dict[str, Filled]:
        """The parameters by name."""
        return filled_by(self.entry.recipe, self.setting.rehearsal.slots)

    @property
    def parameters(self) -> list[Filled]:
        """In the model's order."""
        return list(self.by_name.values())

    @property
    def weights(self) -> list[Filled]:
        """The weights of layers that winit knows."""
        return [filled for filled in self.parameters if filled.slot.kind in LAYERS]

    @property
    def activation(self) -> str | None:
        """The model's, where it names one."""
        return self.setting.model.activation(self.setting.experiment.model.options)

    @cached_property
    def chain(self) -> Chain | None:
        """The layers, where they follow one another."""
        return chain_of(self.setting, self.by_name)

    @cached_property
    def prediction(self) -> Prediction | None:
        """What theory expects of the chain, where it does."""
        if self.chain is None or not self.inputs.square:
            return None
        if is_centred(self.chain):
            return predict(self.chain, self.inputs.square, self.inputs.squares)
        return predict_shifted(self.chain, self.inputs.square, self.inputs.means) if is_drawn(self.chain) else None

    @property
    def uses(self) -> list[Use]:
        """The schemes that the entry names for weights."""
        recipe = self.entry.recipe
        return [use for use in (*(rule.use for rule in recipe.rules), recipe.others, recipe.fallback) if use]

    def path(self, cause: Filled | None = None, *options: str) -> Path_:
        """Where the config says how a parameter is filled: the first of some options that it gives, or the entry."""
        part, _, number = cause.rule.partition(".") if cause else ("", "", "")
        own = ("rules", int(number)) if part == "rules" else (part,) if part in KEYS else ()
        path: Path_ = ("schemes", self.index, *own)
        return next(((*path, option) for option in options if (*path, option) in self.document.places), path)


@dataclass(frozen=True)
class Study:
    """A plan and its labels, in its order."""

    plan: Plan

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """All of them, variant by variant; variants may share their data."""
        inputs = {id(setting.dataset): Inputs(setting.dataset) for setting in self.plan.settings}
        return tuple(
            Label(index, entry, setting, variant.document, inputs[id(setting.dataset)])
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
