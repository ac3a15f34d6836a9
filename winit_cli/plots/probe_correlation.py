"""How alike two inputs are from layer to layer, and the map that theory draws from one layer to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from winit_cli.plots.expected import expected
from winit_cli.plots.panels import MOST, grid, heading, remark
from winit_cli.plots.probe_signal import FEW, MARKED, THEORY, few, name_layers, theory_key, thin
from winit_cli.plots.signals import Signals
from winit_cli.plots.style import GREY, Look, legend, looks

PLACES = np.linspace(0, 1, 11)  # of the map that are computed


def figure(signals: Signals) -> Figure | None:
    """A row for each variant: correlation by layer, and each hidden layer's against that of the layer before; None
    where no label has it in two hidden layers."""
    frames = {label: _hidden(signals, label) for labels in signals.variants.values() for label in labels}
    rows = [v for v in signals.variants.items() if any(frames[label]["mean"].count() > 1 for label in v[1])]
    if not rows:
        return None
    drawn, axes = grid(len(rows[:MOST]), 2, width=3.9, height=2.9)
    has_theory = False
    for (variant, labels), (by_layer, mapped) in zip(rows, axes, strict=False):
        for label in labels:
            look = looks(signals.labels)[label]
            plot(frames[label], by_layer, look=look)
            for seed in few(signals, label, "correlation"):
                by_layer.plot(seed["depth"][:-1], seed["value"][:-1], **thin(look))
            plot_map(frames[label], mapped, look=look)
            has_theory = _theory(signals, label, frames[label], by_layer, mapped) or has_theory
        _frame(by_layer, mapped, [frames[label] for label in labels])
        heading(by_layer, f"correlation of two inputs{f', {variant}' if variant else ''}")
        heading(mapped, "from one hidden layer to the next")
    legend(drawn, signals.labels, [theory_key()] if has_theory else [], markers=True)
    remark(drawn, len(rows[:MOST]), len(rows), "variants are drawn")
    return drawn


def _hidden(signals: Signals, label: str) -> DataFrame:
    """The head gives logits, of which there are few."""
    return signals.of(label, "correlation").iloc[:-1]


def plot(frame: DataFrame, ax: Axes, *, look: Look) -> Axes:
    """One label's hidden layers: mean over pairs of inputs and seeds, with the interval over seeds."""
    marker = look.marker if len(frame) <= MARKED else ""
    style: dict[str, Any] = {"color": look.color, "linestyle": look.line, "marker": marker, "zorder": look.order}
    ax.plot(frame["depth"], frame["mean"], markersize=4, linewidth=1.6, **style)
    # a cosine lies within 1
    low, high = (frame[name].where(frame["n"] >= FEW).clip(-1, 1) for name in ("ci_low", "ci_high"))
    ax.fill_between(frame["depth"], low, high, color=look.color, alpha=0.15, linewidth=0)
    return ax


def plot_map(frame: DataFrame, ax: Axes, *, look: Look) -> Axes:
    """One label: each hidden layer's correlation, upwards, against that of the layer before it."""
    mean = frame["mean"].to_numpy(dtype=np.float64)
    ax.plot(mean[:-1], mean[1:], linestyle="", marker=look.marker, color=look.color, markersize=4, alpha=0.7)
    return ax


def _theory(signals: Signals, label: str, frame: DataFrame, by_layer: Axes, mapped: Axes) -> bool:
    found = expected(signals, label)
    first = frame["mean"].iloc[0] if len(frame) else np.nan
    if found is None or not np.isfinite(first) or len(found.layers) < 3:
        return False
    by_layer.plot(frame["depth"], found.correlations(float(first))[: len(frame)], **THEORY)
    mapped.plot(PLACES, [found.next_correlation(float(c)) for c in PLACES], **THEORY)
    return True


def _frame(by_layer: Axes, mapped: Axes, frames: Sequence[DataFrame]) -> None:
    means = np.concatenate([frame["mean"].to_numpy(dtype=np.float64) for frame in frames])
    low = min(0.0, float(np.nanmin(means, initial=0.0))) - 0.04
    by_layer.set_ylim(low, 1.04)
    name_layers(by_layer, max(frames, key=len))
    mapped.plot([low, 1], [low, 1], color=GREY, linewidth=0.8, zorder=0)
    mapped.set(xlim=(low, 1.04), ylim=(low, 1.04), xlabel="in the layer before", ylabel="in the layer")
