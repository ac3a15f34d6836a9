"""Signal and gradient of every layer at initialization, with what theory expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray
from pandas import DataFrame

from winit_cli.plots.expected import expected
from winit_cli.plots.logscale import LogScale
from winit_cli.plots.panels import MOST, grid, heading, remark
from winit_cli.plots.signals import Signals
from winit_cli.plots.style import Look, legend, looks, short

NAMED = 8  # layers that are named on the axis; more are numbered
MARKED = 12  # layers that have a mark of their own
# smaller is gone, larger has exploded; exact sizes out there would flatten everything between
RANGE = (1e-16, 1e12)
# round black dots with a white edge: no label has such a line, and what lies below shows between them
THEORY: dict[str, Any] = {
    "color": "black",
    "linestyle": (0, (0.01, 3.0)),
    "dash_capstyle": "round",
    "linewidth": 1.5,
    "zorder": 4,
    "path_effects": [withStroke(linewidth=2.5, foreground="white")],
}
FEW = 3  # seeds below which Student's interval is wider than anything seen: each is a thin line instead
METRICS = {"pre_mean_square": "mean square of pre-activations", "grad_norm": "norm of the loss's gradient"}


def figure(signals: Signals) -> Figure | None:
    """A row for each variant: mean square of pre-activations, and norm of dL/dz; None where nothing was measured."""
    variants = dict(list(signals.variants.items())[:MOST])
    if not variants:
        return None
    drawn, axes = grid(len(variants), len(METRICS), width=3.9, height=2.9)
    has_theory = False
    for (variant, labels), line in zip(variants.items(), axes, strict=True):
        for (metric, name), ax in zip(METRICS.items(), line, strict=True):
            has_theory = _panel(signals, labels, metric, ax) or has_theory
            heading(ax, f"{name}, {variant}" if variant else name)
    legend(drawn, signals.labels, [theory_key()] if has_theory else [], markers=True)
    remark(drawn, len(variants), len(signals.variants), "variants are drawn")
    return drawn


def theory_key() -> Line2D:
    """What the legend says of the dotted lines."""
    return Line2D([], [], label="theory", **THEORY)


def plot(frame: DataFrame, ax: Axes, *, scale: LogScale, look: Look) -> Axes:
    """One label: means with their intervals, see :func:`interval`."""
    depths, mean = frame["depth"], frame["mean"]
    marker = look.marker if len(frame) <= MARKED else ""
    style: dict[str, Any] = {"color": look.color, "linestyle": look.line, "marker": marker, "zorder": look.order}
    ax.plot(depths, scale.place(mean), markersize=4, linewidth=1.6, **style)
    low, high = interval(frame)
    ax.fill_between(depths, scale.place(low), scale.place(high), color=look.color, alpha=0.15, linewidth=0)
    return ax


def interval(frame: DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ends of what is drawn around the means, none for few seeds; ``mean - h`` is ``mean e^(-h / mean)``, which
    stays above 0."""
    mean, high = (frame[name].to_numpy(dtype=np.float64) for name in ("mean", "ci_high"))
    high = np.where(frame["n"] < FEW, np.nan, high)
    return mean * np.exp(-np.divide(high - mean, mean, out=np.zeros_like(mean), where=mean > 0)), high


def few(signals: Signals, label: str, metric: str) -> list[DataFrame]:
    """The seeds of a label one by one, where there are more than one and less than FEW."""
    seeds = signals.seeds(label, metric)
    return seeds if 1 < len(seeds) < FEW else []


def thin(look: Look) -> dict[str, Any]:
    """The line of a single seed."""
    return {"color": look.color, "linewidth": 0.6, "alpha": 0.8, "zorder": 1.5}


def _panel(signals: Signals, labels: Sequence[str], metric: str, ax: Axes) -> bool:
    """Whether theory has a line in it."""
    shown, frames = looks(signals.labels), {label: signals.of(label, metric) for label in labels}
    theory = {label: found for label in labels if (found := _expected(signals, label, metric, frames[label]))}
    values = [*(frame["mean"] for frame in frames.values()), *(list(found) for found in theory.values())]
    values += [end for frame in frames.values() for end in interval(frame)]
    values += [seed["value"] for label in labels for seed in few(signals, label, metric)]
    scale = LogScale.over(np.concatenate([np.asarray(value, dtype=np.float64) for value in values]), within=RANGE)
    for label, frame in frames.items():
        if len(frame):
            plot(frame, ax, scale=scale, look=shown[label])
            for seed in few(signals, label, metric):
                ax.plot(seed["depth"], scale.place(seed["value"]), **thin(shown[label]))
        if label in theory:
            ax.plot(range(1, len(theory[label]) + 1), scale.place(theory[label]), **THEORY)
    scale.apply(ax, "y")
    name_layers(ax, max(frames.values(), key=len))
    return bool(theory)


def _expected(signals: Signals, label: str, metric: str, frame: DataFrame) -> list[float]:
    """What theory expects layer by layer; gradients from the head's measured one on down."""
    found = expected(signals, label)
    if found is None or frame.empty:
        return []
    if metric == "pre_mean_square":
        return _finite(found.squares)
    return _finite(np.asarray(found.gradients) * frame["mean"].iloc[-1])


def _finite(values: ArrayLike) -> list[float]:
    numbers = np.asarray(values, dtype=np.float64)
    return list(np.where(np.isfinite(numbers), numbers, np.nan))


def name_layers(ax: Axes, frame: DataFrame) -> None:
    """Layers by name along x where they are few, else by depth."""
    if 0 < len(frame) <= NAMED:
        names = short(list(frame["layer"]), 14)
        ax.set_xticks(frame["depth"], [names[layer] for layer in frame["layer"]], rotation=30, ha="right")
    else:
        room = 0.03 * len(frame)
        ax.set_xlim(1 - room, len(frame) + room)  # there is no layer 0
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.set_xlabel("layer, from input to output")
