"""The coordinate check: what a few training steps change in each layer, by the width of the network."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from winit_cli.plots.logscale import LogScale, set_ticks
from winit_cli.plots.panels import MOST, grid, heading, remark
from winit_cli.plots.style import SMALL, short
from winit_cli.stats import width_slopes

COLUMNS = 4
NAMED = 8  # layers whose lines are named
RANGE = (1e-12, 1e6)
MARKS = "osDv^PX"


def figure(frame: DataFrame) -> Figure | None:
    """A panel for each label of ``coordinate.csv``, a line for each layer over the width at the last step. None
    where nothing was measured."""
    last = frame[frame["step"] == frame["step"].max()]
    labels = list(dict.fromkeys(last["label"]))
    if not labels:
        return None
    shown = labels[:MOST]
    columns = min(COLUMNS, len(shown))
    drawn, axes = grid(ceil(len(shown) / columns), columns, width=2.6, height=2.3, sharey=True, sharex=True)
    scale, slopes, names = LogScale.over(last["value"], within=RANGE), width_slopes(last), short(labels, 30)
    deepest = int(last["depth"].max())
    for label, ax in zip(shown, axes.flat, strict=False):
        plot(last[last["label"] == label], ax, scale=scale, deepest=deepest)
        heading(ax, names[label], _slopes(slopes[slopes["label"] == label]))
    for ax in axes.flat[len(shown) :]:
        ax.remove()
    _key(drawn, last, deepest)
    drawn.supxlabel("width", fontsize=9)
    drawn.supylabel(f"change after {int(last['step'].max())} steps", fontsize=9)
    remark(drawn, len(shown), len(labels), "labels are drawn")
    return drawn


def plot(frame: DataFrame, ax: Axes, *, scale: LogScale, deepest: int) -> Axes:
    """One label: the change of each layer's pre-activations, mean over the seeds, against the width."""
    for depth in sorted(frame["depth"].unique()):
        mean = frame[frame["depth"] == depth].groupby("width", sort=True)["value"].mean()
        style: dict[str, Any] = {"color": _color(depth, deepest), "marker": MARKS[depth % len(MARKS)]}
        ax.plot(mean.index, scale.place(mean), markersize=4, linewidth=1.4, **style)
    ax.set_xscale("log")
    widths = sorted(frame["width"].unique())
    ax.set_xlim(widths[0] / 1.15, widths[-1] * 1.15)
    set_ticks(ax, "x", [float(width) for width in widths], [str(width) for width in widths])
    scale.apply(ax, "y")
    return ax


def _color(depth: int, deepest: int) -> tuple[float, float, float, float]:
    return colormaps["viridis"](0.9 * (depth - 1) / max(1, deepest - 1))


def _slopes(found: DataFrame) -> str:
    """The smallest and the largest exponent of a panel."""
    slopes = found["slope"].to_numpy(dtype=np.float64)
    slopes = slopes[np.isfinite(slopes)]
    if not len(slopes):
        return "nothing changes"
    ends = (f"width^{round(float(end), 2) + 0.0:.2f}" for end in (slopes.min(), slopes.max()))
    return " to ".join(dict.fromkeys(ends))


def _key(drawn: Figure, last: DataFrame, deepest: int) -> None:
    """Layers by name where they are few, else a scale of depths."""
    layers = last.drop_duplicates("depth").sort_values("depth")
    if len(layers) <= NAMED:
        names = short(list(layers["layer"]), 20)
        handles = [
            Line2D(
                [], [], color=_color(depth, deepest), marker=MARKS[depth % len(MARKS)], markersize=4, label=names[name]
            )
            for depth, name in zip(layers["depth"], layers["layer"], strict=True)
        ]
        drawn.legend(handles=handles, loc="outside right upper", fontsize=SMALL, frameon=False)
        return
    colors = ListedColormap([_color(depth, deepest) for depth in range(1, deepest + 1)])
    bar = drawn.colorbar(ScalarMappable(Normalize(1, deepest), colors), ax=drawn.axes, aspect=30, shrink=0.9)
    bar.set_label("layer, from input to output", fontsize=SMALL)
