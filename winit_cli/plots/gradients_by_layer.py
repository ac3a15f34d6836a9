"""Gradient norm of the weights by layer, before training and at the end."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from pandas import DataFrame

from winit_cli.plots.logscale import LogScale
from winit_cli.plots.panels import MOST, Facet, facets, grid, heading, quantiles, remark
from winit_cli.plots.style import Look, legend, looks, named, short
from winit_cli.store.frames import RunFrames

NAMED = 8
# smaller is dead, larger has exploded; exact sizes out there would flatten everything between
RANGE = (1e-12, 1e6)


def figure(run: RunFrames) -> Figure | None:
    """A row of two panels per facet: step 0 and the last step; None without gradients."""
    frame = run.weight_gradients
    frame = frame[frame["grad_norm"].notna()]
    if frame.empty:
        return None
    rows = facets(run)[:MOST]
    last = int(frame["step"].max())
    frame = frame[frame["step"].isin((0, last))]
    steps = [0, last] if last else [0]
    drawn, axes = grid(len(rows), len(steps), width=3.7, height=2.8, sharey="row")
    for facet, line in zip(rows, axes, strict=True):
        mine = facet.of(frame)
        scale = LogScale.over(mine["grad_norm"], within=RANGE)
        for step, ax in zip(steps, line, strict=True):
            _panel(run, facet, mine[mine["step"] == step], scale, ax)
            title = f"step {step}" + (f", {facet.title}" if facet.title else "")
            heading(ax, title, _missing(facet, mine[mine["step"] == step]) or " ")
        line[0].set_ylabel("gradient norm")
    legend(drawn, run.labels, markers=True)
    remark(drawn, len(rows), len(facets(run)), "rows are drawn")
    return drawn


def plot(frame: DataFrame, ax: Axes, *, scale: LogScale, look: Look) -> Axes:
    """One label's gradient norms, layer 1 at the left: median and quartiles over the seeds."""
    band = quantiles(frame, "param", "grad_norm").reindex(frame["param"].unique())
    layers = range(1, len(band) + 1)
    middle, low, high = (scale.place(band[name]) for name in ("middle", "low", "high"))
    style: dict[str, Any] = {"color": look.color, "linestyle": look.line, "marker": look.marker, "zorder": look.order}
    ax.plot(layers, middle, markersize=4, linewidth=1.3, **style)
    ax.fill_between(layers, low, high, color=look.color, alpha=0.15, linewidth=0)
    return ax


def _panel(run: RunFrames, facet: Facet, frame: DataFrame, scale: LogScale, ax: Axes) -> None:
    shown = looks(run.labels)
    for label in facet.labels:
        mine = frame[frame["label"] == label]
        if len(mine):
            plot(mine, ax, scale=scale, look=shown[label])
    scale.apply(ax, "y")
    names = [name.removesuffix(".weight") for name in frame["param"].unique()]
    if 0 < len(names) <= NAMED:
        ax.set_xticks(range(1, len(names) + 1), short(names).values(), rotation=30, ha="right")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.set_xlabel("" if 0 < len(names) <= NAMED else "weight tensor, from input to output")


def _missing(facet: Facet, frame: DataFrame) -> str:
    gone = [label for label in facet.labels if not (frame["label"] == label).any()]
    return f"all diverged: {named(gone)}" if gone else ""
