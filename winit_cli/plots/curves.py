"""Curves over steps: the median over surviving seeds as a line, their middle half as a band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from pandas import DataFrame

from winit_cli.plots.logscale import set_ticks, ticks
from winit_cli.plots.panels import MOST, Facet, facets, grid, heading, quantiles, remark
from winit_cli.plots.style import GREY, Look, legend, looks, named
from winit_cli.stats import numbers_of, split_label
from winit_cli.store.frames import RunFrames

TITLES = {"train": "training batch", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class Window:
    """What part of the y axis a row of panels shows."""

    low: float
    high: float
    log: bool


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
            constant = _constant(run, facet)
        window = _window(mine, value, constant, list(_lost(run)["trial"]))
        for split, ax in zip(splits, line, strict=True):
            _panel(run, facet, mine[mine["split"] == split], value, window, ax)
            title = f"{TITLES[split]} {value}"
            heading(ax, f"{title}, {facet.title}" if facet.title else title, _cut_off(mine, split, value, window))
            if constant is not None:
                ax.axhline(constant, color=GREY, linestyle=":", linewidth=1)
        line[0].set_ylabel(value)
    for ax in axes[-1]:
        ax.set_xlabel("step")
    legend(figure, run.labels, _extra(run, constant))
    remark(figure, len(rows), len(facets(run)), "rows are drawn")
    return figure


def _constant(run: RunFrames, facet: Facet) -> float | None:
    """The loss of the best constant predictor on the facet's data, which a variant may have of its own."""
    own = run.data.get("constant_losses", {}).get(split_label(facet.labels[0])[1])
    found = run.data.get("constant_loss") if own is None else own
    return None if found is None or not math.isfinite(found) else float(found)


def plot(frame: DataFrame, ax: Axes, *, value: str, look: Look) -> Axes:
    """One label's curve: median and quartiles of ``value`` over the seeds at each step."""
    band = quantiles(frame, "step", value).sort_index()
    ax.plot(band.index, band["middle"], color=look.color, linestyle=look.line, linewidth=1.5, zorder=look.order)
    ax.fill_between(band.index, band["low"], band["high"], color=look.color, alpha=0.18, linewidth=0)
    return ax


def plot_diverged(trial: DataFrame, ax: Axes, *, value: str, look: Look, window: Window, step: float) -> Axes:
    """One diverged trial: a thin line, and a cross at the step where it diverged."""
    ax.plot(trial["step"], trial[value], color=look.color, linewidth=0.6, alpha=0.7)
    worst = window.high if value == "loss" else window.low
    last = float(trial[value].iloc[-1]) if len(trial) else worst
    height = min(max(last, window.low), window.high)
    ax.plot([step], [height], marker="x", markersize=5, color=look.color, clip_on=False, zorder=5)
    return ax


def _panel(run: RunFrames, facet: Facet, frame: DataFrame, value: str, window: Window, ax: Axes) -> None:
    shown = looks(run.labels)
    lost = _lost(run)
    dead = facet.of(lost)
    for label in facet.labels:
        alive = frame[(frame["label"] == label) & ~frame["trial"].isin(lost["trial"])]
        if len(alive):
            plot(alive, ax, value=value, look=shown[label])
    for trial, label, step in zip(dead["trial"], dead["label"], dead["diverged_step"].astype(float), strict=True):
        mine = frame[frame["trial"] == trial]
        plot_diverged(mine, ax, value=value, look=shown[label], window=window, step=step)
    ax.set(yscale="log" if window.log else "linear", ylim=(window.low, window.high))
    if window.log:
        set_ticks(ax, "y", ticks(window.low, window.high))


def _lost(run: RunFrames) -> DataFrame:
    return run.trials[run.trials["status"] == "diverged"]


def _window(frame: DataFrame, value: str, constant: float | None, lost: Sequence[str]) -> Window:
    """What the surviving trials need, up to ten times the constant predictor's loss.

    One exploding scheme must not flatten the others, so diverged trials have no say while any survives.
    """
    if value == "accuracy":
        return Window(-0.02, 1.02, log=False)
    alive = frame[~frame["trial"].isin(lost)]
    numbers = _drawn(alive if len(alive) else frame, value)
    numbers = np.append(numbers[np.isfinite(numbers)], [] if constant is None else [constant])
    if len(numbers) == 0:
        return Window(0.0, 1.0, log=False)
    ceiling = 10 * constant if constant else 100 * float(np.median(numbers)) or math.inf
    inside = numbers[numbers <= ceiling]
    low, high = float(inside.min()), float(inside.max())
    positive = inside[inside > 0]
    if len(positive) and high / positive.min() > 30:
        low = max(float(positive.min()), high * 1e-8)
        room = (high / low) ** 0.05
        return Window(low / room, high * room, log=True)
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return Window(low - room, high + room, log=False)


def _drawn(frame: DataFrame, value: str) -> NDArray[np.float64]:
    """The ends of all bands."""
    grouped = frame.assign(number=numbers_of(frame, value)).groupby(["label", "split", "step"], sort=False)["number"]
    return np.concatenate([grouped.quantile(share).to_numpy(dtype=np.float64) for share in (0.25, 0.75)])


def _cut_off(frame: DataFrame, split: str, value: str, window: Window) -> str:
    mine = frame[frame["split"] == split]
    middle = mine.assign(number=numbers_of(mine, value)).groupby(["label", "step"], sort=False)["number"].median()
    labels = middle[middle > window.high].index.unique("label")
    return f"above {window.high:.3g}: {named(list(labels))}" if len(labels) else " "


def _extra(run: RunFrames, constant: float | None) -> list[Artist]:
    extra: list[Artist] = []
    if constant is not None:
        extra.append(Line2D([], [], color=GREY, linestyle=":", linewidth=1, label="constant predictor"))
    if len(_lost(run)):
        extra.append(Line2D([], [], color=GREY, linestyle="", marker="x", label="diverged here"))
    return extra
