"""Phase diagrams: what a scan measured over depth and sigma_w, or depth and width, with theory's curves over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from pandas import DataFrame

from winit_cli.plots.panels import grid, heading, remark
from winit_cli.plots.probe_verdicts import COLORS
from winit_cli.plots.scan_axes import CRITICAL, NAMES, RATIOS, edges, medians, ratio_of, scale_axis, scanned
from winit_cli.plots.style import SMALL, short

MOST = 16  # rows of panels
# gradients that grow or shrink by more are drawn alike: a few orders of magnitude beyond what verdicts bear
FAR = {"gradient_ratio": 1e6, "time_ratio": 1e10}
NOTHING = "#BBBBBB"
REACH: dict[str, Any] = {"color": "black", "linewidth": 1.6}
HALO = [withStroke(linewidth=3.2, foreground="white")]
TITLES = {"verdict": "verdict", **RATIOS, "correlation": "correlation of two inputs"}
SCALES: dict[str, ScalarMappable] = {
    **{name: ScalarMappable(LogNorm(1 / far, far), "RdBu_r") for name, far in FAR.items()},
    "correlation": ScalarMappable(Normalize(0, 1), "viridis"),
}


def figure(frame: DataFrame, critical: float | None = None) -> Figure | None:
    """A row of maps for each label (and width, where sigma_w is scanned too); ``critical`` is the sigma_w between order
    and chaos. None where fewer than two axes were scanned."""
    axes_of = scanned(frame)
    if "depth" not in axes_of or len(axes_of) < 2:
        return None
    across = "sigma_w" if "sigma_w" in axes_of else "width"
    keys = ["label", "width"] if across == "sigma_w" and "width" in axes_of else ["label"]
    rows: list[tuple[Any, DataFrame]] = list(frame.groupby(keys, sort=False))
    shown = rows[:MOST]
    metrics = ("verdict", ratio_of(frame), "correlation")
    drawn, axes = grid(len(shown), len(metrics), width=3.4, height=2.5 if len(shown) < 4 else 1.8)
    names = short(list(dict.fromkeys(frame["label"])), 26)
    for (key, mine), line in zip(shown, axes, strict=True):
        which = names[key[0]] + (f", width {key[1]:.0f}" if len(key) > 1 else "")
        for metric, ax in zip(metrics, line, strict=True):
            plot(mine, ax, metric=metric, across=across, critical=critical)
            heading(ax, which if metric == "verdict" else TITLES[metric])
    _keys(drawn, axes, frame, metrics[1:], critical)
    remark(drawn, len(shown), len(rows), "rows are drawn")
    return drawn


def plot(frame: DataFrame, ax: Axes, *, metric: str, across: str, critical: float | None = None) -> Axes:
    """One map: a metric as colour, depth upwards; six times xi_c of theory as a line."""
    places = {axis: np.sort(frame[axis].dropna().unique()).astype(np.float64) for axis in (across, "depth")}
    values = _verdicts(frame) if metric == "verdict" else _numbers(frame, metric, across)
    table = values.pivot(index="depth", columns=across, values="value").reindex(places["depth"], columns=places[across])
    ax.set_facecolor(NOTHING)
    borders = {axis: edges(axis, found) for axis, found in places.items()}
    norm, colors = _colors(metric)
    cells = np.ma.masked_invalid(table.to_numpy(dtype=np.float64))
    ax.pcolormesh(borders[across], borders["depth"], cells, norm=norm, cmap=colors, rasterized=True)
    _theory(frame, ax, across, critical)
    scale_axis(ax, "x", across, places[across])
    scale_axis(ax, "y", "depth", places["depth"])
    ax.set(xlim=borders[across][[0, -1]], ylim=borders["depth"][[0, -1]])
    ax.set_xlabel(NAMES[across], fontsize=9)
    ax.set_ylabel(NAMES["depth"] if metric == "verdict" else "", fontsize=9)
    return ax


def _numbers(frame: DataFrame, metric: str, across: str) -> DataFrame:
    found = medians(frame, metric, [across, "depth"])
    low, high = (1 / FAR[metric], FAR[metric]) if metric in FAR else (0.0, 1.0)
    return found.assign(value=found["value"].clip(low, high))


def _verdicts(frame: DataFrame) -> DataFrame:
    mine = frame[frame["metric"] == "verdict"]
    return mine.assign(value=[float(list(COLORS).index(verdict)) for verdict in mine["value"]])


def _colors(metric: str) -> tuple[Any, Any]:
    if metric == "verdict":
        return Normalize(0, len(COLORS) - 1), ListedColormap(list(COLORS.values()))
    return SCALES[metric].norm, SCALES[metric].get_cmap()


def _theory(frame: DataFrame, ax: Axes, across: str, critical: float | None) -> None:
    has_theory = frame[frame["metric"] == "expected_gradient_ratio"].groupby(across)["depth"].max()
    reach = medians(frame, "trainable_depth", [across]).set_index(across)["value"]
    deep = has_theory[has_theory > 1].index
    if len(deep):
        depths = reach.reindex(deep).fillna(1e9).clip(1e-9, 1e9)  # without a number theory sets no limit
        ax.plot(deep.astype(float), depths, **REACH, path_effects=HALO)
    if critical is not None and across == "sigma_w":
        ax.axvline(critical, **CRITICAL)


def _keys(drawn: Figure, axes: Any, frame: DataFrame, metrics: Sequence[str], critical: float | None) -> None:
    for column, metric in enumerate(metrics, 1):
        scale = SCALES[metric]
        size: dict[str, Any] = {"aspect": 30, "shrink": 0.9, "fraction": 0.12 / len(axes), "pad": 0.05 / len(axes)}
        extend = "both" if metric in FAR else "neither"
        bar = drawn.colorbar(scale, ax=list(axes[:, column]), location="top", extend=extend, **size)
        bar.ax.tick_params(labelsize=SMALL)
        bar.ax.minorticks_off()
    occurring = [name for name in COLORS if (frame["value"] == name).any()]
    keys: list[Any] = [Patch(color=COLORS[name], label=name) for name in occurring]
    if (frame["metric"] == "expected_gradient_ratio").any():
        keys.append(Line2D([], [], label=r"$6\,\xi_c$, theory's trainable depth", **REACH, path_effects=HALO))
    if critical is not None:
        keys.append(Line2D([], [], label=rf"critical $\sigma_w$ = {critical:.3g}", **CRITICAL))
    drawn.legend(handles=keys, loc="outside lower center", ncols=min(5, len(keys)), fontsize=SMALL, frameon=False)
