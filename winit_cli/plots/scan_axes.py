"""What ``scan.csv`` is drawn over: the axes that have more than one value."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from pandas import DataFrame

from winit_cli.plots.logscale import set_ticks, tick_text
from winit_cli.stats import numbers_of

AXES = ("depth", "width", "sigma_w")
NAMES = {"depth": "hidden layers", "width": "width", "sigma_w": r"$\sigma_w$"}
CRITICAL: dict[str, Any] = {"color": "black", "linewidth": 1.4, "linestyle": ":"}
RATIOS = {
    "time_ratio": "gradient of the first step / of the last",
    "gradient_ratio": "gradient of layer 1 / of the head",
}
Floats = NDArray[np.float64]
MOST_TICKS = 7


def scanned(frame: DataFrame) -> list[str]:
    """The axes with more than one value."""
    return [axis for axis in AXES if frame[axis].nunique() > 1]


def ratio_of(frame: DataFrame) -> str:
    """The ratio of gradients that is drawn: over time where that was measured."""
    return next((name for name in RATIOS if (frame["metric"] == name).any()), "gradient_ratio")


def medians(frame: DataFrame, metric: str, by: list[str]) -> DataFrame:
    """The medians over the seeds of a metric, and columns for the axes; places without a number are left out."""
    mine = frame[frame["metric"] == metric]
    numbers = mine.assign(value=numbers_of(mine, "value")).dropna(subset="value")
    return numbers.groupby(by, sort=False)["value"].median().reset_index()


def scale_axis(ax: Axes, which: str, axis: str, values: Floats) -> None:
    """Depths and widths by logarithms, with the values that were scanned as ticks."""
    if axis == "sigma_w":
        return
    ax.set(**{f"{which}scale": "log"})
    shown = values[:: -(-len(values) // MOST_TICKS)]
    set_ticks(ax, which, list(shown), [tick_text(value) for value in shown])


def edges(axis: str, values: Floats) -> Floats:
    """The borders of cells: halfway between values, depths and widths by logarithms."""
    places = values if axis == "sigma_w" else np.log(values)
    if len(places) == 1:
        found = np.array([places[0] - 0.5, places[0] + 0.5])
    else:
        middle = (places[1:] + places[:-1]) / 2
        found = np.concatenate(([2 * places[0] - middle[0]], middle, [2 * places[-1] - middle[-1]]))
    return found if axis == "sigma_w" else np.exp(found)
