"""The final test metric of every trial, with the mean and its 95 % interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from winit_cli.plots.logscale import finer_ticks, set_ticks, ticks
from winit_cli.plots.panels import heading, rates, variants
from winit_cli.plots.style import GREY, SMALL, Look, looks, short
from winit_cli.stats import groups, mean_interval, numbers_of, split_label
from winit_cli.store.frames import RunFrames

NAMES = {"final_test_accuracy": "final test accuracy", "final_test_loss": "final test loss"}
ROW = 0.3
MOST = 200
EDGE: dict[str, Any] = {"linestyle": "", "marker": ">", "markersize": 6, "clip_on": False}


def figure(run: RunFrames, only: Sequence[str] = ()) -> Figure | None:
    """A panel per variant, a row per label (of ``only``, if any) and rate; None before any trial has finished."""
    metric = _metric(run)
    wanted = [label for label in run.labels if not only or label in only]
    values = numbers_of(run.trials[run.trials["label"].isin(wanted)], metric)
    if not np.isfinite(values).any():
        return None
    by_variant = variants(wanted[: MOST // len(rates(run))])
    heights = [len(labels) * len(rates(run)) + 1.5 for labels in by_variant.values()]
    drawn = Figure(figsize=(7.5, ROW * sum(heights) + 0.9), layout="constrained")
    axes = drawn.subplots(len(heights), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    high = _ceiling(run, metric, values)
    for (variant, labels), ax in zip(by_variant.items(), axes, strict=True):
        heading(ax, variant)
        _rows(run, labels, metric, high, ax)
    shown = values[values <= high]
    if metric == "final_test_loss" and shown.min() > 0 and shown.max() > 30 * shown.min():
        axes[0].set_xscale("log")
        ends = float(shown.min()), float(shown.max())
        set_ticks(axes[0], "x", ticks(*ends), finer=finer_ticks(*ends))
    if metric == "final_test_accuracy":  # an interval of the mean may leave what an accuracy can be
        left, right = axes[0].get_xlim()
        axes[0].set_xlim(max(left, -0.03), min(right, 1.03))
    axes[-1].set_xlabel(NAMES[metric])
    drawn.legend(handles=_keys(values, high), loc="outside lower center", ncols=3, fontsize=SMALL, frameon=False)
    return drawn


def leaders(run: RunFrames) -> Figure | None:
    """The same for the labels nearer to the best than to the worst, where all of them hide in a corner otherwise."""
    metric = _metric(run)
    values = {label: numbers_of(run.trials[run.trials["label"] == label], metric) for label in run.labels}
    finite = {label: found[np.isfinite(found)] for label, found in values.items()}
    means = {label: float(found.mean()) for label, found in finite.items() if len(found)}
    if len(means) < 3:
        return None
    accuracy = metric == "final_test_accuracy"
    scaled = np.array if accuracy or min(means.values()) <= 0 else np.log  # losses span decades
    means = {label: float(scaled(mean)) for label, mean in means.items()}
    low, high = min(means.values()), max(means.values())
    near = [label for label, mean in means.items() if (mean > (low + high) / 2) == accuracy]
    spread = np.ptp(scaled(np.concatenate([finite[label] for label in near]))) if near else 0.0
    crowded = 2 <= len(near) < len(means) and spread < (high - low) / 4
    return figure(run, near) if crowded else None


def _metric(run: RunFrames) -> str:
    return "final_test_accuracy" if run.data["task"] == "classification" else "final_test_loss"


def plot(frame: DataFrame, ax: Axes, *, metric: str, row: int, look: Look, high: float = np.inf) -> Axes:
    """One row: a dot per seed, the mean as a bar with its interval, the diverged counted at the right."""
    values = numbers_of(frame, metric)
    values = values[np.isfinite(values)]
    shown = values[values <= high]
    # a fixed zigzag keeps equal values apart without randomness; the interval has the lower half to itself
    heights = row - 0.2 + 0.1 * (np.arange(len(shown)) % 3 - 1)
    ax.plot(shown, heights, linestyle="", marker=look.marker, color=look.color, markersize=4, alpha=0.6)
    beyond = int((values > high).sum())
    if beyond:
        ax.plot([1.0] * beyond, [row] * beyond, **EDGE, color=look.color, transform=ax.get_yaxis_transform())
    elif len(values):
        ax.plot([values.mean()], [row + 0.22], marker="|", markersize=6, markeredgewidth=1.8, color="black")
        ends = mean_interval(values)
        if np.isfinite(ends[0]):
            ax.plot(ends, [row + 0.22] * 2, color="black", linewidth=1.2)
    lost = int((frame["status"] == "diverged").sum())
    if lost:
        text = f"{lost} of {len(frame)} diverged"
        ax.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), fontsize=SMALL, va="center")
    return ax


def _rows(run: RunFrames, labels: tuple[str, ...], metric: str, high: float, ax: Axes) -> None:
    texts, shown, several = short(labels, 40), looks(run.labels), len(rates(run)) > 1
    base = short([split_label(label)[0] for label in labels], 40)
    names: list[str] = []
    for row, (label, lr, frame) in enumerate(groups(run.trials, labels)):
        plot(frame, ax, metric=metric, row=row, look=shown[label], high=high)
        text = base.get(split_label(label)[0], texts[label])
        names.append(f"{text}  lr {lr:g}" if several else text)
    for start in range(0, len(names), 2 * len(rates(run))):
        ax.axhspan(start - 0.5, start + len(rates(run)) - 0.5, color="#F3F3F3", zorder=0, linewidth=0)
    ax.set_yticks(range(len(names)), names, fontsize=SMALL)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="x", labelsize=SMALL)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)


def _ceiling(run: RunFrames, metric: str, values: np.ndarray) -> float:
    """Losses beyond ten times the constant predictor's are drawn at the edge."""
    constant = run.data.get("constant_loss")
    if metric == "final_test_accuracy" or not constant or not (values <= 10 * constant).any():
        return np.inf
    return float(10 * constant)


def _keys(values: np.ndarray, high: float) -> list[Artist]:
    keys: list[Artist] = [
        Line2D([], [], linestyle="", marker="o", color=GREY, markersize=4, label="one seed"),
        Line2D([], [], color="black", marker="|", markersize=6, markeredgewidth=1.8, label="mean and 95 % interval"),
    ]
    if (values > high).any():
        keys.append(Line2D([], [], **EDGE, color=GREY, label=f"above {high:.3g}"))
    return keys
