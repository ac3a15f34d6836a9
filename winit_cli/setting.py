"""What the trials of one variant share: data, model, loss, sizes, and the identity of each of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from winit_cli.config import Experiment, SchemeEntry, Train
from winit_cli.data.dataset import CONSTANT_LOSS_EXAMPLES, Dataset, constant_loss
from winit_cli.errors import UsageError
from winit_cli.losses import LOSSES, Loss, constant_loss_of
from winit_cli.models import MODELS, Model, Task, construct
from winit_cli.models.lift import without_twin
from winit_cli.rehearsal import Rehearsal, expected_output, rehearse
from winit_cli.rng import forked
from winit_cli.schemes import SCHEMES
from winit_cli.schemes.slots import Slot, slots
from winit_cli.tasks import default_loss

FORMAT = 5  # of the results; part of every identity, raised when initial values or what a trial records change


@dataclass(frozen=True)
class Setting:
    """What the trials of one variant share. ``train`` has its steps settled; ``every`` and ``test_every``
    are the measuring intervals in steps."""

    suffix: str
    experiment: Experiment
    dataset: Dataset
    train: Train
    every: int
    test_every: int
    device: str

    @property
    def steps(self) -> int:
        """Updates per trial."""
        assert self.train.steps is not None
        return self.train.steps

    @property
    def task(self) -> Task:
        """What the model must fit."""
        data = self.dataset
        return Task(data.input_shape, data.outputs, data.target_steps, data.vocabulary)

    @property
    def model(self) -> Model:
        """The row of the model."""
        return MODELS[self.experiment.model.name]

    @property
    def loss(self) -> Loss:
        """The row of the loss."""
        return LOSSES[self.train.loss or default_loss(self.dataset.task)]

    def build(self, seed: int) -> nn.Module:
        """The model of a trial as its constructor makes it."""
        example = self.dataset.train.x[: self.train.batch_size]
        return construct(self.model, self.task, self.experiment.model.options, seed, example)

    @property
    def is_foreign(self) -> bool:
        """Whether a user's own code is trained, which may draw from global generators."""
        return bool(self.model.source or self.loss.source)

    @cached_property
    def rehearsal(self) -> Rehearsal:
        """The model's parameters and the shape of its output for one example.

        Raises:
            UsageError: the model does not fit the data; a user's own model or loss is at fault.
        """
        model, options = self.model, self.experiment.model.options
        if self.is_foreign:
            return rehearse(model, options, self.task, self.dataset, self.loss, self.train.batch_size)
        return Rehearsal(_slots_without_memory(model, options, self.task), expected_output(self.dataset, 0)[1:])

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said aloud of the data, the model and the engine."""
        return self.dataset.notes + self.rehearsal.notes + self._engine_notes

    @cached_property
    def _engine_notes(self) -> tuple[str, ...]:
        if self.experiment.general.engine != "stacked" or self.only_alone is None:
            return ()
        return (f"trained one trial after another (engine: serial), since {self.only_alone}",)

    @property
    def engine(self) -> str:
        """The engine that trains: ``stacked`` or ``serial``.

        ``auto`` is ``stacked`` wherever trials can be trained as a stack. The number of trials does not count, as the
        engine is part of every identity, and more seeds must not train again what is there.
        """
        return "serial" if self.experiment.general.engine == "serial" or self.only_alone else "stacked"

    @cached_property
    def only_alone(self) -> str | None:
        """Why trials cannot be trained as a stack; ``None`` if they can."""
        if self.model.source:
            return f"model {self.model.name} is code from outside"
        if self.loss.stacked is None:
            return f"loss {self.loss.name} has no form for many trials"
        if self.experiment.general.precision == "bf16" and self.model.name in ("lstm", "gru", "rnn"):
            return f"{self.model.name} has no form for many trials with precision bf16"
        with torch.device("meta"):
            layer = without_twin(self.model.build(self.task, **self.experiment.model.options))
        return f"its layer {layer} has no form for many trials" if layer else None

    @property
    def has_accuracy(self) -> bool:
        """Whether outputs are logits of classes."""
        data = self.dataset
        return data.task == "classification" and self.rehearsal.output_shape == expected_output(data, 0)[1:]

    @cached_property
    def constant_loss(self) -> float | None:
        """Loss of the best constant output on the first 5,000 training examples; ``None`` where a loss has none that
        can be found."""
        if self.loss.name == default_loss(self.dataset.task):
            return constant_loss(self.dataset)
        targets = self.dataset.train.y[:CONSTANT_LOSS_EXAMPLES]
        with forked("constant loss"):
            return constant_loss_of(self.loss, targets, self.rehearsal.output_shape)

    def identity(self, entry: SchemeEntry, lr: float, seed: int) -> str:
        """SHA-256 over everything that the training of one trial depends on and a user chose."""
        unset = {key for key in ("loss", "nesterov") if getattr(self.train, key) is None}
        train = self.train.model_dump(exclude={"lr", "epochs"} | unset)
        parts = {
            "format": FORMAT,
            "model": self.experiment.model.flat(),
            "data": self.dataset.fingerprint,
            "scheme": asdict(entry.recipe),
            "train": {**train, "lr": lr},
            "seed": seed,
            "measure": [self.every, self.test_every],
            "engine": self.engine,
            "precision": self.experiment.general.precision,
            "device": torch.device(self.device).type,
        }
        if sources := self._sources(entry):
            parts["code"] = sources
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=list).encode()).hexdigest()

    def _sources(self, entry: SchemeEntry) -> list[str]:
        """The hashes of all code from outside that a trial runs."""
        schemes = [SCHEMES[use.scheme].source for use in entry.recipe.uses]
        return sorted({self.model.source, self.loss.source, *schemes} - {""})


def _slots_without_memory(model: Model, options: Mapping[str, Any], task: Task) -> list[Slot]:
    """The parameters that a model would have, on the meta device."""
    try:
        with torch.device("meta"):
            return slots(model.build(task, **options))
    except (RuntimeError, OverflowError, MemoryError):  # what torch raises where a size is beyond 64 bits
        raise UsageError(f"{model.name} with these sizes is too large for any computer; make them smaller") from None
