"""The singular values of the Jacobian of the output with respect to the input."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from pandas import DataFrame

from winit_cli.plots.logscale import LogScale
from winit_cli.plots.panels import remark
from winit_cli.plots.signals import Signals
from winit_cli.plots.style import GREY, SMALL, Look, looks, short

ROW = 0.42  # inches
MOST = 100
FULL = 0.85  # height of the fullest bin
THIN = 0.006  # of the axis, the least that a bar is wide
RANGE = (1e-16, 1e12)


def figure(signals: Signals) -> Figure | None:
    """A row for each label on one logarithmic axis; None without a spectrum."""
    frame = signals.histograms[signals.histograms["quantity"] == "jacobian_singular_value"]
    labels = [label for label in signals.labels if (frame["label"] == label).any()]
    if not labels:
        return None
    shown = labels[:MOST]
    drawn = Figure(figsize=(7.0, ROW * len(shown) + 0.9), layout="constrained")
    ax = drawn.subplots()
    scale = LogScale.over(frame[["low", "high"]].to_numpy(dtype=np.float64), within=RANGE)
    names, style = short(signals.labels, 40), looks(signals.labels)
    for row, label in enumerate(shown):
        plot(frame[frame["label"] == label], ax, scale=scale, row=row, look=style[label])
    scale.apply(ax, "x")
    ax.axvline(1, color=GREY, linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(shown)), [names[label] for label in shown], fontsize=SMALL)
    ax.set_ylim(len(shown) - 0.5, -1)
    ax.tick_params(axis="x", labelsize=SMALL)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.set_xlabel("singular value of d output / d input")
    remark(drawn, len(shown), len(labels), "labels are drawn")
    return drawn


def plot(frame: DataFrame, ax: Axes, *, scale: LogScale, row: int, look: Look) -> Axes:
    """One label's singular values as bars on a line of their own, as high as there are many in a decade."""
    ends = [scale.place(frame[name]) for name in ("low", "high")]
    ends[1] = np.maximum(ends[1], ends[0] * (scale.high / scale.low) ** THIN * (1 + THIN))
    density = frame["count"].to_numpy(dtype=np.float64) / np.log(ends[1] / ends[0])
    heights = FULL * density / density.max()
    bars = [[(a, row), (a, row - h), (b, row - h), (b, row)] for a, b, h in zip(*ends, heights, strict=True)]
    ax.add_collection(PolyCollection(bars, facecolors=look.color, edgecolors=look.color, linewidths=0.4, alpha=0.75))
    ax.axhline(row, color="#DDDDDD", linewidth=0.6, zorder=0)
    return ax
