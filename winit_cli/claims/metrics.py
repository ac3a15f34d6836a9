"""What a claim can be about: one row per metric, and the keys that stand in its brackets."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from winit_cli.tables import table

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("train", "val", "test")
OUTCOMES = ("stuck", "learned", "diverged")
JACOBIAN_OUTPUTS = 512  # up to this many of a layer its Jacobian is computed row by row
WIDTH_STEPS = 5  # of training, by which networks of several widths are compared


@dataclass(frozen=True)
class Metric:
    """A metric has one number per trial: ``column`` of the rows of ``table`` (a CSV file) that its keys select.

    ``keys`` are columns of that table with their defaults, ``None`` where one must be given; ``rows`` are the cells
    that all its rows share, in which ``{key}`` stands for the value of a key that is no column. ``part`` is the part of
    the data that is measured, and ``worst`` what a trial counts as that diverged, NaN if it then has no value.
    """

    name: str
    about: str
    table: str
    column: str
    part: Part = "train"
    worst: float = math.nan
    keys: Mapping[str, int | str | None] = field(default_factory=dict)
    rows: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()

    @property
    def is_accuracy(self) -> bool:
        """Whether it exists for classification only."""
        return self.column.endswith("accuracy")

    def cells(self, keys: Mapping[str, int | str]) -> dict[str, int | str]:
        """What stands in its rows, by column."""
        shared = " ".join(self.rows.values())
        columns = {name: value for name, value in keys.items() if f"{{{name}}}" not in shared}
        return columns | {name: cell.format(**keys) for name, cell in self.rows.items()}

    @property
    def example(self) -> str:
        """The metric with all its keys, as in ``grad_norm[param=layers.0.weight,step=0]``; those with a default have
        it."""
        return spelled(self.name, {key: EXAMPLES[key] if at is None else at for key, at in self.keys.items()})


def _final(part: Part, what: str, about: str, worst: float) -> Metric:
    name = f"final_{part}_{what}"
    return Metric(name, about, "trials", name, part, worst)


def _curve(part: Part, what: str) -> Metric:
    about = f"{what} on the training batch at a step" if part == "train" else f"{what} on the {part} part at a step"
    return Metric(f"{part}_{what}", about, "curves", what, part, keys={"step": None})


def _probed(name: str, about: str, metric: str = "", *, of_model: bool = False) -> Metric:
    """What is measured at initialization, of a layer or of the whole model."""
    keys: Mapping[str, int | str | None] = {} if of_model else {"layer": None}
    return Metric(name, f"{about}, before training", "probe", "value", keys=keys, rows={"metric": metric or name})


METRICS = table(
    _final("train", "loss", "loss on the training part after the last update", math.inf),
    _final("val", "loss", "loss on the validation part after the last update", math.inf),
    _final("test", "loss", "loss on the test part after the last update", math.inf),
    _final("test", "accuracy", "accuracy on the test part after the last update", -math.inf),
    Metric("steps_to_target", "updates until the target is reached", "trials", "steps_to_target", worst=math.inf),
    Metric("loss_area", "area under the curve of the training loss", "trials", "loss_area", worst=math.inf),
    Metric("grad_norm", "norm of a gradient", "gradients", "grad_norm", keys={"param": None, "step": 0}),
    *(_curve(part, what) for part in PARTS for what in ("loss", "accuracy")),
    _probed("pre_mean", "mean of a layer's pre-activations"),
    _probed("pre_mean_square", "mean square of a layer's pre-activations"),
    _probed("pre_variance", "variance of a layer's pre-activations"),
    _probed("pre_grad_norm", "norm of the gradient with respect to a layer's pre-activations", "grad_norm"),
    _probed("act_mean_square", "mean square of a layer's activations"),
    _probed("act_variance", "variance of a layer's activations"),
    _probed("layer_gain", "mean square of a layer's pre-activations over those of the layer before"),
    _probed("dead_fraction", "share of a layer's units that are never above 0"),
    _probed("saturated_fraction", "share of a layer's pre-activations where the activation is flat"),
    _probed("correlation", "mean correlation of two inputs in a layer"),
    _probed("distinct_units", "number of different units of a layer"),
    _probed("distinct_gradients", "number of units of a layer with different gradients"),
    _probed("gradient_rank", "rank of the gradient of a layer's weights"),
    _probed("layer_jacobian_sv_mean", "mean singular value of the Jacobian from the layer before to a layer"),
    _probed("jacobian_sq_sv_mean", "mean squared singular value of the Jacobian", of_model=True),
    _probed("jacobian_sq_sv_var", "variance of its squared singular values", of_model=True),
    _probed("jacobian_sq_sv_max", "its largest squared singular value", of_model=True),
    _probed("jacobian_condition", "ratio of its largest to its smallest singular value", of_model=True),
    Metric(
        "width_slope",
        "exponent of the width in the change of a layer's pre-activations by a few steps of training",
        "probe",
        "value",
        keys={"layer": None, "step": WIDTH_STEPS},
        rows={"metric": "width_slope_{step}"},
    ),
    _probed("gradient_quotient", "relative change of the gradient by a step along it", of_model=True),
)
EXAMPLES = {"layer": "layers.1", "param": "layers.0.weight", "step": "0", "lr": "0.05"}


def _step(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise ValueError("expected a whole number of updates, e.g. step=100")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise ValueError("expected a learning rate, e.g. lr=0.05")
    return rate


READERS: Mapping[str, Callable[[str], int | float | str]] = {"param": str, "layer": str, "step": _step, "lr": _rate}


def spelled(name: str, keys: Mapping[str, object]) -> str:
    """``train_loss[step=0]``; a metric without keys stands alone."""
    return f"{name}[{','.join(f'{key}={value}' for key, value in keys.items())}]" if keys else name
