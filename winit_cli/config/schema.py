"""The resolved experiment: frozen pydantic models, one per section of the YAML."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from winit_cli.errors import brief
from winit_cli.schemes.recipe import Recipe
from winit_cli.tables import Flag, NonNegativeInt, NonNegativeNumber, Number, PositiveInt, PositiveNumber, Strict

# files of these names, with any ending, are devices on Windows
RESERVED = re.compile(r"([Cc][Oo][Nn]|[Pp][Rr][Nn]|[Aa][Uu][Xx]|[Nn][Uu][Ll]|([Cc][Oo][Mm]|[Ll][Pp][Tt])[0-9])(\.|$)")
NAME = re.compile(rf"(?!{RESERVED.pattern})[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}")
SPAN = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
MOST_SEEDS = 100_000
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+@=,-]{0,63}")

Optimizer = Literal["sgd", "adam", "adamw", "rmsprop"]
Schedule = Literal["constant", "cosine", "linear"]
Precision = Literal["fp32", "tf32", "bf16"]
Metric = Literal["final_train_loss", "final_val_loss", "final_test_loss", "final_test_accuracy"]


def _name(value: str) -> str:
    if RESERVED.match(value):
        raise ValueError("expected another name, since Windows reserves this one")
    if not NAME.fullmatch(value):
        raise ValueError("expected letters, digits, . _ - (at most 64, the first a letter or digit)")
    return value


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = sorted(value for value, count in Counter(values).items() if count > 1)
    if twice:
        raise ValueError(f"{brief(', '.join(map(repr, twice)))} is given twice")
    return values


def _by_metric(value: object) -> object:
    """One margin holds for every metric."""
    return value if isinstance(value, Mapping) else dict.fromkeys(get_args(Metric), value)


def _seeds(value: object) -> object:
    """A number of seeds n means 0 … n - 1; ``100-104`` means five, alone or in a list."""
    value = [value] if isinstance(value, str) and SPAN.fullmatch(value) else value
    if isinstance(value, bool) or not isinstance(value, int | list | tuple):
        raise ValueError("expected a number of seeds or a list like [3, 5, 8] or [100-104]")
    if isinstance(value, int) and not 1 <= value <= MOST_SEEDS:
        raise ValueError(f"expected 1 to {MOST_SEEDS} seeds")
    return list(range(value)) if isinstance(value, int) else [seed for item in value for seed in _span(item)]


def _span(item: object) -> Sequence[object]:
    """The seeds of a list's item."""
    found = SPAN.fullmatch(item) if isinstance(item, str) else None
    if not found:
        return [item]
    first, last = int(found[1]), int(found[2])
    if not first <= last < first + MOST_SEEDS:
        raise ValueError(f"{item}: expected the smaller seed first, and at most {MOST_SEEDS} seeds")
    return range(first, last + 1)


Name = Annotated[str, AfterValidator(_name)]
Rates = Annotated[tuple[PositiveNumber, ...], BeforeValidator(_listed), Field(min_length=1), AfterValidator(_distinct)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Seeds = Annotated[tuple[Seed, ...], BeforeValidator(_seeds), Field(min_length=1), AfterValidator(_distinct)]
Widths = Annotated[tuple[PositiveInt, ...], Field(min_length=2), AfterValidator(_distinct)]
Beta = Annotated[Number, Field(ge=0, lt=1)]
Margins = Annotated[dict[Metric, NonNegativeNumber], BeforeValidator(_by_metric)]


class Train(Strict):
    """How every trial is trained. ``steps`` or ``epochs``, not both; 200 steps if neither. ``loss`` is that of the
    data's task if not named."""

    loss: str | None = None
    optimizer: Optimizer = "sgd"
    lr: Rates = (0.05,)
    momentum: Annotated[Number, Field(ge=0, lt=1)] | None = None
    nesterov: Flag | None = None
    weight_decay: NonNegativeNumber | None = None
    betas: tuple[Beta, Beta] | None = None
    batch_size: PositiveInt = 64
    steps: PositiveInt | None = None
    epochs: PositiveInt | None = None
    schedule: Schedule = "constant"
    warmup: NonNegativeInt = 0
    clip_norm: PositiveNumber | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> Train:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("give steps or epochs, not both")
        if self.momentum is not None and self.optimizer not in ("sgd", "rmsprop"):
            raise ValueError(f"momentum goes with sgd and rmsprop, not with {self.optimizer}; use betas")
        if self.betas is not None and self.optimizer not in ("adam", "adamw"):
            raise ValueError(f"betas go with adam and adamw, not with {self.optimizer}; use momentum")
        if self.nesterov and self.optimizer != "sgd":
            raise ValueError(f"nesterov goes with sgd, not with {self.optimizer}; remove it")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0; add e.g. momentum: 0.9, or remove it")
        return self


class Measure(Strict):
    """Every how many steps the training batch and its gradients, and the test part, are measured; and of how many seeds
    the labels are probed before training: 5, or fewer where there are many labels, if not given. With ``widths`` the
    probe also trains networks of these widths for a few steps (the coordinate check)."""

    every: PositiveInt | None = None
    test_every: PositiveInt | None = None
    probe: NonNegativeInt | None = None
    widths: Widths | None = None


class Select(Strict):
    """How each label's learning rate is selected: by the mean of a metric over trials with ``seeds`` of their own."""

    metric: Literal["final_train_loss", "final_val_loss"] = "final_val_loss"
    seeds: Seeds


class Judging(Strict):
    """How results are compared; nothing of it changes what is trained but ``select``, which adds trials."""

    family: Literal["baseline", "all"] = "baseline"
    tie_margin: Margins | None = None
    target: Number | None = None
    select: Select | None = None


class Entry(Strict):
    """A named row with the values of its options: a model or a data set."""

    name: str
    options: dict[str, Any]

    def flat(self) -> dict[str, Any]:
        """As in the YAML."""
        return {"name": self.name, **self.options}


class SchemeEntry(Strict):
    """One entry of ``schemes:``: its label, what it asks for, and the entry as the YAML spells it."""

    model_config = Strict.model_config | {"arbitrary_types_allowed": True}

    label: str
    recipe: Recipe
    flat: Mapping[str, Any]


class General(Strict):
    """What stands at the top level of a config and is not a section."""

    name: Name
    seeds: Seeds = tuple(range(10))
    engine: Literal["auto", "stacked", "serial"] = "auto"
    precision: Precision = "fp32"
    checkpoint_seconds: PositiveNumber = 15.0


class Experiment(Strict):
    """One resolved experiment. What depends on the data (steps from epochs, sizes) is settled in the plan."""

    general: General
    model: Entry
    data: Entry
    schemes: tuple[SchemeEntry, ...]
    train: Train
    measure: Measure
    judging: Judging
    baseline: str

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds that are trained: the experiment's, and those that select learning rates."""
        select = self.judging.select
        return self.general.seeds + (select.seeds if select else ())


def slug(label: str) -> str:
    """A label as part of a file name; two labels with one slug would share files."""
    return re.sub(r"[^a-z0-9.]+", "-", label.lower()).strip("-")
