"""Curves over steps: the median over surviving seeds as a line, their middle half as a band."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from winit_cli.plots.logscale import finer_ticks, set_ticks, ticks
from winit_cli.plots.panels import MOST, Facet, facets, grid, heading, quantiles, remark
from winit_cli.plots.style import GREY, Look, legend, looks
from winit_cli.plots.window import Window, constant_of, cut_off, diverged, window_of
from winit_cli.store.frames import RunFrames

TITLES = {"train": "training batch", "val": "validation", "test": "test"}


def panels(run: RunFrames, value: str) -> Figure | None:
    """One row of panels per facet, one column per measured split; None where nothing was measured."""
    curves = run.curves[run.curves[value].notna()]
    splits = [split for split in TITLES if (curves["split"] == split).any()]
    if not splits:
        return None
    rows = facets(run)[:MOST]
    constant: float | None = None
    figure, axes = grid(len(rows), len(splits), width=3.7, height=2.7, sharey="row", sharex=True)
    for facet, line in zip(rows, axes, strict=True):
        mine = facet.of(curves)
        if value == "loss":
            constant = constant_of(run, facet)
        window = window_of(mine, value, constant, list(diverged(run)["trial"]))
        for split, ax in zip(splits, line, strict=True):
            _panel(run, facet, mine[mine["split"] == split], value, window, ax)
            title = f"{TITLES[split]} {value}"
            heading(ax, f"{title}, {facet.title}" if facet.title else title, cut_off(mine, split, value, window))
            if constant is not None:
                ax.axhline(constant, color=GREY, linestyle=":", linewidth=1)
        line[0].set_ylabel(value)
    for ax in axes[-1]:
        ax.set_xlabel("step")
    legend(figure, run.labels, _extra(run, constant))
    remark(figure, len(rows), len(facets(run)), "rows are drawn")
    return figure


def plot(frame: DataFrame, ax: Axes, *, value: str, look: Look) -> Axes:
    """One label's curve: median and quartiles of ``value`` over the seeds at each step."""
    band = quantiles(frame, "step", value).sort_index()
    ax.plot(band.index, band["middle"], color=look.color, linestyle=look.line, linewidth=1.5, zorder=look.order)
    ax.fill_between(band.index, band["low"], band["high"], color=look.color, alpha=0.18, linewidth=0)
    return ax


def plot_diverged(
    trials: Sequence[tuple[DataFrame, float]], ax: Axes, *, value: str, look: Look, window: Window
) -> Axes:
    """One label's diverged trials with the steps where they did: thin lines, and a cross at each end.

    All of them are two artists, however many they are.
    """
    worst = window.high if value == "loss" else window.low
    steps = [part for rows, _ in trials for part in (*rows["step"], np.nan)]
    numbers = [part for rows, _ in trials for part in (*rows[value], np.nan)]
    ax.plot(steps, numbers, color=look.color, linewidth=0.6, alpha=0.7)
    last = [float(rows[value].iloc[-1]) if len(rows) else worst for rows, _ in trials]
    ends = np.clip(last, window.low, window.high)
    places = [step for _, step in trials]
    ax.plot(places, ends, linestyle="", marker="x", markersize=5, color=look.color, clip_on=False, zorder=5)
    return ax


def _panel(run: RunFrames, facet: Facet, frame: DataFrame, value: str, window: Window, ax: Axes) -> None:
    shown = looks(run.labels)
    lost = diverged(run)
    dead = facet.of(lost)
    for label in facet.labels:
        alive = frame[(frame["label"] == label) & ~frame["trial"].isin(lost["trial"])]
        if len(alive):
            plot(alive, ax, value=value, look=shown[label])
    for name, trials in dead.groupby("label", sort=False):
        label = str(name)
        mine = _ended(frame[frame["label"] == label], trials)
        plot_diverged(mine, ax, value=value, look=shown[label], window=window)
    ax.set(yscale="log" if window.log else "linear", ylim=(window.low, window.high))
    if window.log:
        set_ticks(ax, "y", ticks(window.low, window.high), finer=finer_ticks(window.low, window.high))


def _ended(frame: DataFrame, trials: DataFrame) -> list[tuple[DataFrame, float]]:
    """The rows of each diverged trial, and the step at which it ended."""
    found = {str(name): rows for name, rows in frame.groupby("trial", sort=False)}
    ends = zip(trials["trial"], trials["diverged_step"].astype(float), strict=True)
    return [(found.get(trial, frame[:0]), step) for trial, step in ends]


def _extra(run: RunFrames, constant: float | None) -> list[Artist]:
    extra: list[Artist] = []
    if constant is not None:
        extra.append(Line2D([], [], color=GREY, linestyle=":", linewidth=1, label="constant predictor"))
    if len(diverged(run)):
        extra.append(Line2D([], [], color=GREY, linestyle="", marker="x", label="diverged here"))
    return extra
