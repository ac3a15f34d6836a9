"""Gradient norm of every weight at every measured step, one small panel per label."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from pandas import DataFrame

from winit_cli.plots.logscale import tick_text, ticks
from winit_cli.plots.panels import grid, heading, rates, remark, variants
from winit_cli.plots.style import GREY, SMALL, short
from winit_cli.stats import numbers_of
from winit_cli.store.frames import RunFrames

COLUMNS = 4
MOST = 48
ZERO = "#F2A6C4"
NOTHING = "#FFFFFF"
# beyond these a gradient is dead or exploded, and its exact size would only flatten the others
RANGE = (1e-7, 1e3)


def figure(run: RunFrames) -> Figure | None:
    """Small panels, layer × step, on one logarithmic colour scale; None without gradients."""
    frame = run.weight_gradients
    if frame.empty:
        return None
    lrs = rates(run)
    cells = [cell for members in variants(run.labels).values() for cell in product(members, lrs)]
    shown = cells[:MOST]
    columns = min(COLUMNS, len(shown))
    places = _places([label for label, _ in shown], columns)
    drawn, axes = grid(max(places) // columns + 1, columns, width=2.3, height=1.75)
    norm, names = _norm(frame), short(run.labels, 30)
    ends = _edges(np.sort(frame["step"].unique()).astype(np.float64))[[0, -1]]
    for place, (label, lr) in zip(places, shown, strict=True):
        ax = axes.flat[place]
        plot(frame[(frame["label"] == label) & (frame["lr"] == lr)], ax, norm=norm).set_xlim(*ends)
        heading(ax, names[label], f"lr {lr:g}" if len(lrs) > 1 else "", size=SMALL)
    for place in set(range(axes.size)) - set(places):
        axes.flat[place].remove()
    _keys(drawn, axes, norm)
    remark(drawn, len(shown), len(cells), "panels are drawn")
    return drawn


def plot(frame: DataFrame, ax: Axes, *, norm: LogNorm) -> Axes:
    """One label's weights (layers, steps) as colours: medians over the seeds, zeros and gaps in their own."""
    ax.set_facecolor(NOTHING)
    if frame.empty:
        ax.set(xticks=[], yticks=[])
        ax.text(0.5, 0.5, "no values", transform=ax.transAxes, ha="center", va="center", fontsize=SMALL, color=GREY)
        return ax
    steps, values = matrix(frame)
    edges = _edges(steps), np.arange(len(values) + 1) + 0.5
    ax.pcolormesh(*edges, np.ma.masked_less_equal(values, 0), norm=norm, cmap="viridis", rasterized=True)
    zero = np.ma.masked_where(values != 0, np.zeros_like(values))
    ax.pcolormesh(*edges, zero, cmap=ListedColormap([ZERO]), vmin=0, vmax=1, rasterized=True)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(4, integer=True))
    return ax


def matrix(frame: DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps (steps,) and median gradient norms over the seeds (layers, steps), NaN where there is none."""
    table = frame.pivot_table(index="param", columns="step", values="grad_norm", aggfunc="median", sort=False)
    table = table.reindex(frame["param"].unique()).sort_index(axis="columns")
    return table.columns.to_numpy(dtype=np.float64), table.to_numpy(dtype=np.float64)


def _places(labels: Sequence[str], columns: int) -> list[int]:
    """Which panel each label gets, row by row; every variant starts a row of its own."""
    places: list[int] = []
    for members in variants(labels).values():
        start = ceil((places[-1] + 1) / columns) * columns if places else 0
        places += range(start, start + len(members))
    return places


def _edges(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cell borders halfway between the steps."""
    if len(steps) == 1:
        return np.array([steps[0] - 0.5, steps[0] + 0.5])
    middle = (steps[1:] + steps[:-1]) / 2
    return np.concatenate(([2 * steps[0] - middle[0]], middle, [2 * steps[-1] - middle[-1]]))


def _norm(frame: DataFrame) -> LogNorm:
    values = numbers_of(frame, "grad_norm")
    positive = np.clip(values[values > 0], *RANGE)
    low, high = (float(positive.min()), float(positive.max())) if len(positive) else (0.1, 1.0)
    return LogNorm(low, high if high > low else 10 * low)


def _keys(drawn: Figure, axes: NDArray[Any], norm: LogNorm) -> None:
    left = [ax for ax in axes.flat if isinstance(ax, Axes) and ax.figure is not None]
    bar = drawn.colorbar(ScalarMappable(norm, "viridis"), ax=left, extend="both", aspect=30, shrink=0.9)
    bar.set_label("gradient norm", fontsize=SMALL)
    places = ticks(norm.vmin or 0.1, norm.vmax or 1.0)
    bar.set_ticks(places, labels=[tick_text(place) for place in places])
    bar.minorticks_off()
    bar.ax.tick_params(labelsize=SMALL)
    drawn.supxlabel("step", fontsize=9)
    drawn.supylabel("weight tensor,\nfrom input to output", fontsize=9)
    patches = [
        Patch(facecolor=ZERO, label="exactly 0"),
        Patch(facecolor=NOTHING, edgecolor="#999999", label="no value (diverged)"),
    ]
    drawn.legend(handles=patches, loc="outside upper right", ncols=2, fontsize=SMALL, frameon=False)
