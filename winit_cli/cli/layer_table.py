"""The layers of one label as a table: which one is bad."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table

from winit_cli.cli.terminal import Terminal

if TYPE_CHECKING:
    from pandas import DataFrame

# headings of the metrics; those with an interval, and those that are there for some activations only
METRICS = {
    "pre_mean_square": "mean square",
    "layer_gain": "gain",
    "grad_norm": "gradient",
    "correlation": "alike",
    "dead_fraction": "dead",
    "saturated_fraction": "flat",
}
WITH_INTERVAL = ("pre_mean_square", "grad_norm")


def layer_table(terminal: Terminal, means: DataFrame, verdict: str, first_bad: str) -> Table:
    """One row for each layer, from ``layer_means`` of one label; the first bad one is marked with the verdict.

    Mean square of the pre-activations and its factor since the layer before, norm of dL/dz, correlation of two inputs,
    share of units that are dead and of pre-activations where the activation is flat.
    """
    layers = means[means["metric"] == "pre_mean_square"].sort_values("depth")
    found = {(row.layer, row.metric): row for row in means.itertuples()}
    shown = [metric for metric in METRICS if any((layer, metric) in found for layer in layers["layer"])]
    table = Table(box=box.SIMPLE_HEAD if terminal.out.is_terminal else None, pad_edge=False)
    table.add_column("layer", overflow="fold")
    for metric in shown:
        table.add_column(METRICS[metric], justify="right", no_wrap=True)
    table.add_column("")
    for layer in layers["layer"]:
        cells = [_cell(found.get((layer, metric)), metric in WITH_INTERVAL) for metric in shown]
        table.add_row(escape(layer), *cells, f"<- {verdict}" if layer == first_bad else "")
    return table


def _cell(row: object, with_interval: bool) -> str:
    """``1.9±0.2``: a mean with half of its interval."""
    mean, high = getattr(row, "mean", math.nan), getattr(row, "ci_high", math.nan)
    if math.isnan(mean):
        return "-"
    half = high - mean
    return short(mean) + (f"±{short(half, 1)}" if with_interval and half > 0 else "")


def short(number: float, digits: int = 2) -> str:
    """``0.98``, ``120``, ``3e-5``."""
    if number == 0 or 1e-3 <= abs(number) < 1e3:
        text = f"{number:.{digits}g}"
        return f"{float(text):g}" if "e" in text else text
    significand, _, power = f"{number:.{digits - 1}e}".partition("e")
    return f"{significand}e{int(power)}" if power else significand
