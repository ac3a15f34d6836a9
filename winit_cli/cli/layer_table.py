"""The layers of one label as a table: which one is bad."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from winit_cli.cli.terminal import Terminal
from winit_cli.numerals import short

if TYPE_CHECKING:
    from pandas import DataFrame

# headings of the metrics, and what they are; some are there for some activations only
METRICS = {
    "pre_mean_square": ("mean square", "of pre-activations, of recurrent layers that of states"),
    "layer_gain": ("gain", "its factor since the layer before"),
    "grad_norm": ("gradient", "norm of the loss's, with respect to them"),
    "correlation": ("alike", "mean cosine between two examples"),
    "dead_fraction": ("dead", "share of units that are 0 or below for every example"),
    "saturated_fraction": ("flat", "share of pre-activations where the activation hardly moves"),
}
LAG, HALF_LIFE, GATE = "grad_norm_lag_", "memory_half_life", "gate_saturated_"  # of recurrent layers
WITH_INTERVAL = ("pre_mean_square", "grad_norm")


def layer_table(terminal: Terminal, means: DataFrame, verdict: str, first_bad: str) -> Table:
    """One row for each layer, from ``layer_means`` of one label; the first bad one is marked with the verdict."""
    layers, found = _layers(means), {(row.layer, row.metric): row for row in means.itertuples()}
    shown = _shown(means)
    table = Table(box=box.SIMPLE_HEAD if terminal.out.is_terminal else None, pad_edge=False)
    table.add_column("layer", overflow="fold")
    for metric in shown:
        table.add_column(METRICS[metric][0], justify="right", no_wrap=True)
    table.add_column("")
    for layer in layers:
        cells = [_cell(found.get((layer, metric)), metric in WITH_INTERVAL) for metric in shown]
        table.add_row(escape(layer), *cells, f"<- {verdict}" if layer == first_bad else "")
    return table


def _layers(means: DataFrame) -> list[str]:
    return list(means[means["metric"] == "pre_mean_square"].sort_values("depth")["layer"])


def _shown(means: DataFrame) -> list[str]:
    there = set(means.loc[means["layer"].isin(_layers(means)), "metric"])
    return [metric for metric in METRICS if metric in there]


def explained(means: DataFrame) -> str:
    """What the columns of ``layer_table`` are."""
    return "; ".join(": ".join(METRICS[metric]) for metric in _shown(means))


def over_time(means: DataFrame) -> Iterator[str]:
    """Of each recurrent layer, what ``layer_means`` of one label have of time: the gradient of its state by the steps
    before the last, the half-life of what it keeps, and the share of each gate's values that are nearly 0 or 1."""
    for layer in _layers(means):
        mine = means[means["layer"] == layer]
        found: dict[str, float] = dict(zip(mine["metric"].astype(str), mine["mean"].astype(float), strict=True))
        found = {metric: mean for metric, mean in found.items() if not math.isnan(mean)}
        lags = {metric.removeprefix(LAG): short(value) for metric, value in found.items() if metric.startswith(LAG)}
        gates = [f"{metric.removeprefix(GATE)} {found[metric]:.0%}" for metric in found if metric.startswith(GATE)]
        said = [
            *([f"gradient by steps back {', '.join(f'{lag}: {text}' for lag, text in lags.items())}"] if lags else []),
            *([f"half-life {short(found[HALF_LIFE])} steps"] if HALF_LIFE in found else []),
            *([f"nearly shut or open gates: {', '.join(gates)}"] if gates else []),
        ]
        if said:
            yield f"{layer} over time: {'; '.join(said)}"


def _cell(row: object, with_interval: bool) -> str:
    """``1.9±0.2``: a mean with half of its interval."""
    mean, high = getattr(row, "mean", math.nan), getattr(row, "ci_high", math.nan)
    if math.isnan(mean):
        return "-"
    half = high - mean
    return short(mean) + (f"±{short(half, 1)}" if with_interval and half > 0 else "")
