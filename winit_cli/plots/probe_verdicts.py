"""The verdict on every label, and from which layer on it holds."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from winit_cli import numerals
from winit_cli.plots.panels import remark
from winit_cli.plots.signals import Signals
from winit_cli.plots.style import SMALL, literal, looks, short

ROW = 0.3  # inches
MOST = 100
COLORS = {
    "healthy": "#8FCBB0",
    "vanishing": "#9CCBEB",
    "exploding": "#D55E00",
    "dead": "#555555",
    "saturated": "#E69F00",
    "symmetric": "#CC79A7",
    "chaotic": "#882255",
}


def figure(signals: Signals) -> Figure | None:
    """A strip of layers for each label, coloured from the first bad one on; None without verdicts."""
    found = {row[0]: row for row in signals.verdicts.itertuples(index=False, name=None)}
    labels = [label for label in signals.labels if label in found and (signals.probe["label"] == label).any()]
    if not labels:
        return None
    shown = labels[:MOST]
    drawn = Figure(figsize=(8.5, ROW * len(shown) + 0.7), layout="constrained")
    ax = drawn.subplots()
    for row, label in enumerate(shown):
        _, verdict, layer, metric, value, _ = found[label]
        layers = signals.of(label, "pre_mean_square")
        depth = next(iter(layers.loc[layers["layer"] == layer, "depth"]), None)
        plot(ax, row=row, layers=len(layers), verdict=verdict, first=depth)
        text = literal(verdict if depth is None else f"{verdict}  {layer}: {metric} {numerals.short(float(value))}")
        ax.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), fontsize=SMALL, va="center")
    _frame(signals, shown, ax)
    remark(drawn, len(shown), len(labels), "labels are drawn")
    return drawn


def plot(ax: Axes, *, row: int, layers: int, verdict: str, first: int | None) -> Axes:
    """One label: so many layers side by side, the head last; ``first`` is the depth of the first bad one."""
    bad = layers + 1 if first is None else first
    colors = [COLORS["healthy"] if depth < bad else COLORS[verdict] for depth in range(1, layers + 1)]
    ax.barh([row] * layers, 0.92, left=np.arange(1, layers + 1) - 0.46, height=0.62, color=colors, linewidth=0)
    return ax


def _frame(signals: Signals, labels: list[str], ax: Axes) -> None:
    names = short(signals.labels, 40)
    ax.set_yticks(range(len(labels)), [names[label] for label in labels], fontsize=SMALL)
    for tick, label in zip(ax.get_yticklabels(), labels, strict=True):
        tick.set_color(looks(signals.labels)[label].color)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.set_xlabel("layer, from input to output; the last is the head", fontsize=SMALL)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    ax.tick_params(axis="x", labelsize=SMALL)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
