"""What a probe finds: numbers by layer and metric, counts by bin, and the layers themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

LAG = "grad_norm_lag_"
WIDTH_SLOPE = "width_slope_"
METRICS = (
    *("pre_mean", "pre_mean_square", "pre_variance", "act_mean_square", "act_variance", "layer_gain"),
    *("dead_fraction", "saturated_fraction", "correlation", "grad_norm", LAG, "memory_half_life"),
    *(f"gate_saturated_{gate}" for gate in ("input", "forget", "output", "reset", "update")),
    *(
        "layer_jacobian_sv_mean",
        "jacobian_sq_sv_mean",
        "jacobian_sq_sv_var",
        "jacobian_sq_sv_max",
        "jacobian_condition",
    ),
    *("distinct_units", "distinct_gradients", "gradient_rank", "gradient_quotient"),
    WIDTH_SLOPE,
)
_ORDER = {metric: index for index, metric in enumerate(METRICS)}


def lag_metric(lag: int) -> str:
    """The metric of the gradient ``lag`` steps before the last one."""
    return f"{LAG}{lag}"


def order(metric: str) -> tuple[int, int]:
    """Where a metric stands among those of one layer; lags and steps stand by their size."""
    numbered = next((prefix for prefix in (LAG, WIDTH_SLOPE) if metric.startswith(prefix)), None)
    return (_ORDER[numbered], int(metric.removeprefix(numbered))) if numbered else (_ORDER[metric], 0)


class Row(NamedTuple):
    """One number: ``layer`` is a module's path, or the name of a parameter for its gradient."""

    layer: str
    depth: int
    metric: str
    value: float


class Bin(NamedTuple):
    """How many values of a quantity lie in [low, high); the last bin of a quantity holds ``high`` too."""

    layer: str
    depth: int
    quantity: str
    low: float
    high: float
    count: int  # type: ignore[assignment]  # hides tuple.count


@dataclass(frozen=True)
class Place:
    """A layer by its path, with its number of units and the activation that follows where it is known.

    ``recurrence`` is torch's name for its kind where it goes through time: LSTM, GRU, RNN_TANH or RNN_RELU.
    ``last_lag`` is the number of steps before the last one over which its gradient was followed, 0 where it was not.
    ``is_cut_off`` says that the loss does not depend on it, though something in or before it trains,
    ``is_in_branch`` that it lies in a residual branch.
    """

    path: str
    units: int
    activation: str
    recurrence: str = ""
    last_lag: int = 0
    is_cut_off: bool = False
    is_in_branch: bool = False


@dataclass(frozen=True)
class Measured:
    """The layers in order, the head last, the mean square of the input, and all rows by depth and metric;
    ``into_head`` is the mean square of what the head is given."""

    places: tuple[Place, ...]
    input_mean_square: float
    rows: tuple[Row, ...]
    bins: tuple[Bin, ...] = ()
    into_head: float = float("nan")

    def with_rows(self, more: Iterable[Row]) -> Measured:
        """The same with further rows."""
        rows = sorted([*self.rows, *more], key=lambda row: (row.depth, order(row.metric)))
        return replace(self, rows=tuple(rows))

    def value(self, depth: int, metric: str) -> float:
        """The number of a layer; NaN where there is none."""
        path = self.places[depth - 1].path
        found = (row.value for row in self.rows if (row.layer, row.depth, row.metric) == (path, depth, metric))
        return next(found, float("nan"))
