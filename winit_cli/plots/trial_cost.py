"""Cost of a trial-step against the number of trials that train together, as ``winit bench`` measures it."""

from __future__ import annotations

from math import ceil
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pandas import DataFrame

from winit_cli.plots.logscale import LogScale, set_ticks
from winit_cli.plots.style import COLORS, GREY, SMALL

COLUMNS = 4
LOOPS = {"script": ("plain loop over DataLoader", ":"), "tuned": ("tuned loop, data in memory", "--")}
ENGINES = {"serial": (COLORS[0], "o"), "stacked": (COLORS[1], "s")}
AUTO = "#000000"


def figure(frame: DataFrame, title: str = "") -> Figure:
    """One panel per case. ``frame`` has the columns case, method, trials, and seconds per trial-step."""
    cases = list(dict.fromkeys(frame["case"]))
    columns = min(COLUMNS, len(cases))
    rows = ceil(len(cases) / columns)
    drawn = Figure(figsize=(max(2.6 * columns, 5.2), 2.4 * rows + 0.9), layout="constrained")
    axes = drawn.subplots(rows, columns, squeeze=False)
    for ax, case in zip(axes.flat, cases, strict=False):
        plot(frame[frame["case"] == case], ax)
        ax.set_title(case, fontsize=10, loc="left")
    for ax in axes.flat[len(cases) :]:
        ax.remove()
    for ax in axes.flat[max(0, len(cases) - columns) : len(cases)]:  # the lowest of each column
        ax.set_xlabel("trials that train together", fontsize=SMALL)
    for ax in axes[:, 0]:
        ax.set_ylabel("ms per trial-step", fontsize=SMALL)
    drawn.suptitle(title, fontsize=10)
    handles = _handles(set(frame["method"]))
    drawn.legend(handles=handles, loc="outside lower center", ncols=min(3, len(handles)), fontsize=SMALL, frameon=False)
    return drawn


def plot(frame: DataFrame, ax: Axes) -> Axes:
    """One case: a line per engine, rings where ``auto`` goes, and the loops as levels, all in milliseconds."""
    timed = frame.dropna(subset=["seconds"]).assign(ms=lambda rows: 1e3 * rows["seconds"].astype(float))
    for method, mine in timed.groupby("method"):
        mine = mine.sort_values("trials")
        if method in LOOPS:
            ax.axhline(mine["ms"].iloc[0], color=GREY, linestyle=LOOPS[str(method)][1], linewidth=1.2)
        elif method in ENGINES:
            color, marker = ENGINES[str(method)]
            ax.plot(mine["trials"], mine["ms"], color=color, marker=marker, markersize=4, linewidth=1.5)
        else:
            ax.plot(mine["trials"], mine["ms"], **_RING)
    LogScale.over(timed["ms"]).apply(ax, "y")
    ax.set_xscale("log", base=2)
    places = sorted({int(trials) for trials in frame["trials"]} | {1})
    ax.set_xlim(places[0] / 1.4, places[-1] * 1.4)
    set_ticks(ax, "x", [float(place) for place in places], [str(place) for place in places])
    ax.tick_params(labelsize=SMALL)
    return ax


_RING: dict[str, Any] = {
    "linestyle": "",
    "marker": "o",
    "markersize": 9,
    "markerfacecolor": "none",
    "markeredgecolor": AUTO,
}


def _handles(methods: set[str]) -> list[Line2D]:
    """The legend of what was measured."""
    loops = [Line2D([], [], color=GREY, linestyle=line, label=text) for text, line in _of(LOOPS, methods)]
    engines = [
        Line2D([], [], color=color, marker=marker, markersize=4, label=f"engine: {name}")
        for name, (color, marker) in ENGINES.items()
        if name in methods
    ]
    return [*loops, *engines, *([Line2D([], [], label="engine: auto", **_RING)] if "auto" in methods else [])]


def _of(table: dict[str, Any], methods: set[str]) -> list[Any]:
    return [value for name, value in table.items() if name in methods]
