"""The standard deviation of every weight tensor as drawn, against the one its formula promises."""

from __future__ import annotations

from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from winit_cli.plots.logscale import LogScale
from winit_cli.plots.panels import MOST, grid, heading, remark, variants
from winit_cli.plots.style import GREY, Look, legend, looks
from winit_cli.store.frames import RunFrames

COLUMNS = 3
# equal values still have a standard deviation of this order when it is computed in floats
ZERO = 1e-12
# hollow marks of several sizes stay visible where they coincide
SIZES = (12, 9, 6)


def figure(run: RunFrames) -> Figure | None:
    """One panel per variant; None where no scheme states an expected value."""
    frame = run.init[run.init["param"].isin(run.weights)]
    frame = frame[frame["expected_std"].notna() & frame["std"].notna()]
    if frame.empty:
        return None
    by_variant = variants(run.labels)
    shown = dict(list(by_variant.items())[:MOST])
    columns = min(COLUMNS, len(shown))
    size = 4.2 if columns == 1 else 3.3
    drawn, axes = grid(ceil(len(shown) / columns), columns, width=size, height=size)
    scale = LogScale.over(frame[["expected_std", "std"]].to_numpy(dtype=np.float64), zero=ZERO)
    style = looks(run.labels)
    for (variant, labels), ax in zip(shown.items(), axes.flat, strict=False):
        heading(ax, variant)
        for place, label in enumerate(labels):
            mine = frame[frame["label"] == label]
            if len(mine):  # an empty line that is not clipped has no extent, and leaves the panels none
                plot(mine, ax, scale=scale, look=style[label], size=SIZES[place % len(SIZES)])
        _frame(ax, scale)
    for ax in axes.flat[len(shown) :]:
        ax.remove()
    legend(drawn, run.labels, markers=True, lines=False)
    remark(drawn, len(shown), len(by_variant), "variants are drawn")
    return drawn


def plot(frame: DataFrame, ax: Axes, *, scale: LogScale, look: Look, size: float = 6) -> Axes:
    """One label's weight tensors: a mark per parameter, the median of the measured std over the seeds."""
    medians = frame.groupby("param", sort=False)[["expected_std", "std"]].median()
    across, up = (scale.place(medians[name], zero=ZERO) for name in ("expected_std", "std"))
    ax.plot(
        *(across, up),
        linestyle="",
        marker=look.marker,
        color=look.color,
        markerfacecolor="none",
        markeredgewidth=1.5,
        markersize=size,
        clip_on=False,
    )
    return ax


def _frame(ax: Axes, scale: LogScale) -> None:
    ax.plot(scale.limits(), scale.limits(), color=GREY, linewidth=0.8, zorder=0)
    for axis in "xy":
        scale.apply(ax, axis)
    ax.set(xlabel="expected std", ylabel="measured std")
