"""A scan over one axis: signal, gradient and correlation of every label along it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas import DataFrame

from winit_cli.plots.logscale import LogScale
from winit_cli.plots.panels import grid, heading
from winit_cli.plots.probe_signal import RANGE, THEORY, theory_key
from winit_cli.plots.scan_axes import CRITICAL, NAMES, RATIOS, medians, ratio_of, scale_axis, scanned
from winit_cli.plots.style import Look, legend, looks

METRICS = {
    "pre_mean_square": "mean square, last hidden layer",
    **RATIOS,
    "correlation": "correlation, last hidden layer",
}


def figure(frame: DataFrame, critical: float | None = None) -> Figure | None:
    """A panel for each number, a line for each label, theory dotted. None where not exactly one axis was scanned."""
    axes_of = scanned(frame)
    if len(axes_of) != 1:
        return None
    (across,) = axes_of
    labels = list(dict.fromkeys(frame["label"]))
    metrics = ("pre_mean_square", ratio_of(frame), "correlation")
    drawn, axes = grid(1, len(metrics), width=3.3, height=2.8)
    has_theory = False
    for metric, ax in zip(metrics, axes[0], strict=True):
        found, theory = (medians(frame, name, ["label", across]) for name in (metric, f"expected_{metric}"))
        scale = LogScale.over(np.concatenate([found["value"], theory["value"]]), within=RANGE)
        for label in labels:
            look = looks(labels)[label]
            plot(
                found[found["label"] == label],
                ax,
                across=across,
                scale=None if metric == "correlation" else scale,
                look=look,
            )
            line = theory[theory["label"] == label]
            ax.plot(line[across], scale.place(line["value"]), **THEORY)
        _frame(ax, across, metric, scale, np.sort(frame[across].unique()).astype(np.float64))
        if critical is not None and across == "sigma_w":
            ax.axvline(critical, **CRITICAL)
        heading(ax, METRICS[metric])
        has_theory = has_theory or len(theory) > 0
    legend(drawn, labels, [theory_key()] if has_theory else [], markers=True)
    return drawn


def plot(frame: DataFrame, ax: Axes, *, across: str, scale: LogScale | None, look: Look) -> Axes:
    """One label: medians over the seeds along the axis."""
    values = frame["value"] if scale is None else scale.place(frame["value"])
    style = {"color": look.color, "linestyle": look.line, "marker": look.marker, "zorder": look.order}
    ax.plot(frame[across], values, markersize=4, linewidth=1.4, **style)
    return ax


def _frame(ax: Axes, across: str, metric: str, scale: LogScale, places: np.ndarray) -> None:
    if metric == "correlation":
        ax.set_ylim(min(-0.04, ax.get_ylim()[0]), 1.04)
    else:
        scale.apply(ax, "y")
    scale_axis(ax, "x", across, places)
    ax.set_xlabel(NAMES[across], fontsize=9)
