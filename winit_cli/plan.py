"""From a config to trials: data loaded, sizes settled, every recipe checked against the model, identities."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from winit_cli.claims.claim import Claim
from winit_cli.claims.fits import asks_for_probe, unmeasured
from winit_cli.config import Config, Path_, SchemeEntry, Train, Variant, dotted
from winit_cli.data import DATASETS
from winit_cli.data.checked import checked
from winit_cli.data.dataset import Dataset
from winit_cli.errors import ConfigError, DataError, Fault, MissingDataError, UsageError
from winit_cli.fitted import try_fit
from winit_cli.foreign import blaming
from winit_cli.measurable import measurable
from winit_cli.rng import forked
from winit_cli.schemes.assign import assign, rates_of
from winit_cli.schemes.slots import Slot
from winit_cli.setting import Setting
from winit_cli.tasks import default_loss
from winit_cli.widths import width_faults


@dataclass(frozen=True)
class Trial:
    """One training: a label with its varied values, a learning rate and a seed."""

    setting: Setting
    entry: SchemeEntry
    lr: float
    seed: int
    identity: str

    @property
    def label(self) -> str:
        """The entry's label and the varied values."""
        return self.entry.label + self.setting.suffix

    @property
    def key(self) -> str:
        """``label/lr/seed``."""
        return f"{self.label}/{self.lr!r}/{self.seed}"


@dataclass(frozen=True)
class Plan:
    """A config with its data and its trials, in the order of labels, learning rates, seeds."""

    config: Config
    settings: tuple[Setting, ...]

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        """All trials."""
        return tuple(trial for setting in self.settings for trial in _trials(setting))

    @property
    def engine(self) -> str:
        """``stacked``, or ``serial`` where some trials are, as a variant may have a loss of a user's own."""
        return "stacked" if all(setting.engine == "stacked" for setting in self.settings) else "serial"

    @property
    def is_on_cpu(self) -> bool:
        """Whether trials are trained by the processor."""
        return torch.device(self.settings[0].device).type == "cpu"

    @property
    def labels(self) -> list[str]:
        """All labels in the order of the config, variant by variant."""
        return [entry.label + setting.suffix for setting in self.settings for entry in setting.experiment.schemes]

    @property
    def name(self) -> str:
        """Name of the run's directory: the experiment's, and 8 hex digits over labels and identities."""
        text = "\n".join(f"{trial.label} {trial.identity}" for trial in self.trials)
        return f"{self.config.base.general.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _trials(setting: Setting) -> Iterator[Trial]:
    for entry in setting.experiment.schemes:
        for lr in setting.train.lr:
            for seed in setting.experiment.seeds:
                yield Trial(setting, entry, lr, seed, setting.identity(entry, lr, seed))


def make_plan(config: Config, device: str, *, download: bool = False) -> Plan:
    """Load the data (with ``download`` also what is not on disk yet) and settle what depends on it.

    Raises:
        ConfigError: sizes or schemes that do not fit the data or the model; all faults at once.
        DataError: the data cannot be loaded; MissingDataError where a download would help.
        UsageError: the model does not fit the data.
    """
    datasets: dict[str, Dataset] = {}
    for variant in config.variants:
        data = variant.experiment.data
        if repr(data) not in datasets:
            datasets[repr(data)] = _load(variant, download)
    settings = tuple(_setting(variant, datasets[repr(variant.experiment.data)], device) for variant in config.variants)
    faults: dict[Fault, None] = {}
    for variant, setting in zip(config.variants, settings, strict=True):
        found = list(_faults(setting)) or _claim_faults(config.claims, setting)
        faults |= {Fault(variant.document.where(path), text): None for path, text in found}
    if faults:
        raise ConfigError(list(faults))
    return Plan(config, settings)


def _load(variant: Variant, download: bool) -> Dataset:
    data = variant.experiment.data
    row = DATASETS[data.name]
    try:
        if row.source:
            with blaming(f"data set {row.name}"), forked("data", row.name):
                return checked(row.load(**data.options), row.name)
        return row.load(**data.options)
    except MissingDataError as error:
        if not download or row.download is None:
            raise _at(variant, error) from None
    except DataError as error:
        raise _at(variant, error) from None
    row.download()
    return row.load(**data.options)


def _at(variant: Variant, error: DataError) -> DataError:
    """The same error with the place of ``data:`` before it."""
    return type(error)(f"{variant.document.where(('data',))}: data: {error}")


def _setting(variant: Variant, dataset: Dataset, device: str) -> Setting:
    train = variant.experiment.train
    per_epoch = max(1, len(dataset.train.x) // train.batch_size)
    steps = train.epochs * per_epoch if train.epochs else train.steps or 200
    defaults = _optimizer_defaults(train)
    loss = None if train.loss == default_loss(dataset.task) else train.loss
    settled = train.model_copy(update={"steps": steps, "epochs": None, "loss": loss, **defaults})
    measure = variant.experiment.measure
    every = measure.every or max(1, round(steps / 100))
    test_every = measure.test_every or max(1, round(steps / 10))
    return Setting(variant.suffix, variant.experiment, dataset, settled, every, test_every, device)


def _optimizer_defaults(train: Train) -> dict[str, Any]:
    """Unset options as torch has them: weight decay 0 (adamw 0.01), momentum 0, betas (0.9, 0.999); nesterov only
    where it is on."""
    adaptive = train.optimizer in ("adam", "adamw")
    decay = 0.01 if train.optimizer == "adamw" else 0.0
    return {
        "weight_decay": decay if train.weight_decay is None else train.weight_decay,
        "momentum": None if adaptive else train.momentum or 0.0,
        "nesterov": train.nesterov or None,
        "betas": (train.betas or (0.9, 0.999)) if adaptive else None,
    }


def _faults(setting: Setting) -> Iterator[tuple[Path_, str]]:
    """What does not fit together, with the path of the value at fault."""
    train, model = setting.train, setting.experiment.model
    available = len(setting.dataset.train.x)
    if train.batch_size > available:
        yield (
            ("train", "batch_size"),
            f"train.batch_size {train.batch_size} is larger than the training part of {setting.dataset.name} "
            f"({available} examples); use at most {available}",
        )
    if train.batch_size == 1 and model.options.get("norm") == "batch":
        yield ("train", "batch_size"), "model.norm: batch needs train.batch_size of 2 or more"
    if train.warmup > setting.steps:
        yield ("train", "warmup"), f"train.warmup {train.warmup} is longer than the training ({setting.steps} steps)"
    if setting.experiment.general.precision == "tf32" and torch.device(setting.device).type != "cuda":
        yield ("precision",), "precision: tf32 needs a CUDA device; use precision: fp32 or --device cuda"
    if setting.loss.task not in (None, setting.dataset.task):
        fits, task = setting.loss.task, setting.dataset.task
        yield ("train", "loss"), f"train.loss {setting.loss.name} fits {fits}, but the data is for {task}"
        return
    try:
        parameters = setting.rehearsal.slots
    except UsageError as error:
        yield ("model",), f"model: {error}"
        return
    recipes = list(_recipe_faults(setting, parameters))
    yield from recipes or ((("measure", "widths"), f"measure.widths: {text}") for text in width_faults(setting))


def _claim_faults(claims: Sequence[Claim], setting: Setting) -> list[tuple[Path_, str]]:
    """What the claims ask for of this variant, and is not measured."""
    labels = [entry.label + setting.suffix for entry in setting.experiment.schemes]
    found = [(path, f"{dotted(path)}: {text}") for path, text in unmeasured(claims, labels, measurable(setting))]
    measure = setting.experiment.measure
    if measure.widths and measure.probe == 0 and not asks_for_probe(claims):
        said = (
            "measure.widths: with measure.probe: 0 no network is measured; give it 1 or more, or remove measure.widths"
        )
        found.append((("measure", "widths"), said))
    return found


def _recipe_faults(setting: Setting, parameters: list[Slot]) -> Iterator[tuple[Path_, str]]:
    """What schemes cannot fill; entries with the same fault share one message."""
    labels: dict[str, list[tuple[int, str, str]]] = {}
    for index, entry in enumerate(setting.experiment.schemes):
        try:
            rates_of(assign(parameters, entry.recipe), setting.train.optimizer)
            try_fit(setting, entry)
        except ConfigError as error:
            for fault in error.faults:
                first_line = fault.message.partition("\n")[0]  # rules to paste below it differ by the entry's scheme
                labels.setdefault(first_line, []).append((index, entry.label, fault.message))
        except UsageError as error:
            labels.setdefault(str(error), []).append((index, entry.label, str(error)))
    for found in labels.values():
        index, _, message = found[0]
        yield ("schemes", index), f"label {', '.join(label for _, label, _ in found)}: {message}"
