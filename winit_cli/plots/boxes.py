"""Small histograms side by side in one panel: a row for each label, a box for each layer or gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pandas import DataFrame

from winit_cli.plots.panels import MOST, heading, remark
from winit_cli.plots.signals import Signals
from winit_cli.plots.style import GREY, SMALL, looks, short

WIDE = 0.86  # of a box, whose place is 1
FULL = 0.8  # height of the fullest bin
CUT = 3.0  # times the second fullest, above which the fullest is cut
TINY = 6.5
ROW = 1.05  # inches
NARROW = 0.015  # the least width of a bin, in proportion to the box
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Box:
    """Bins (K,) with ``low``, ``high`` and ``count``, the range (from, to) that is drawn, and a text below.

    One bin that holds far more than all others (zeros behind a relu) is cut, so that the others can be seen.
    """

    low: Floats
    high: Floats
    count: Floats
    between: tuple[float, float]
    text: str

    @property
    def peak(self) -> int | None:
        """The bin that is cut; None where none is."""
        if len(self.count) < 2:
            return None
        second, first = np.sort(self.count)[-2:]
        return int(self.count.argmax()) if first > CUT * second else None

    @property
    def heights(self) -> Floats:
        """Of the bins, the fullest 1."""
        full = self.count.max() if self.peak is None else CUT * np.sort(self.count)[-2]
        return np.minimum(self.count / max(1.0, float(full)), 1.0)

    @property
    def lines(self) -> str:
        """The text, and where a bin is cut the share that it holds."""
        if self.peak is None:
            return self.text
        share, place = self.count[self.peak] / self.count.sum(), self.low[self.peak]
        return f"{self.text}\n{share:.0%} at {0.0 if self.low[self.peak] <= 0 <= self.high[self.peak] else place:.2g}"


def box(frame: DataFrame, text: str, between: tuple[float, float] | None = None) -> Box:
    """A box of the rows of one histogram; it shows their range unless another is given."""
    low, high, count = (frame[name].to_numpy(dtype=np.float64) for name in ("low", "high", "count"))
    return Box(low, high, count, between or (float(low.min()), float(high.max())), text)


def panels(signals: Signals, rows: Mapping[str, Sequence[Box | None]], columns: Sequence[str], width: float) -> Figure:
    """A figure with a row of boxes for each label; ``columns`` are named above the first, ``width`` inches each."""
    shown = list(rows)[:MOST]
    size = (max(5.0, width * len(columns) + 0.3), ROW * len(shown) + 0.5)
    drawn = Figure(figsize=size, layout="constrained")
    axes = drawn.subplots(len(shown), 1, squeeze=False)[:, 0]
    names, style = short(signals.labels, 40), looks(signals.labels)
    for label, ax in zip(shown, axes, strict=True):
        plot(rows[label], ax, color=style[label].color, places=len(columns))
        heading(ax, names[label], size=SMALL)
    texts = short(list(columns), 30)
    axes[-1].set_xticks(range(len(columns)), [texts[name] for name in columns], fontsize=SMALL)
    remark(drawn, len(shown), len(rows), "labels are drawn")
    return drawn


def plot(boxes: Sequence[Box | None], ax: Axes, *, color: str, places: int) -> Axes:
    """One label's boxes from left to right; a grey line stands at 0 where a box shows it."""
    ax.set(xlim=(-0.5, places - 0.5), ylim=(-0.45, 1), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    for place, one in enumerate(boxes):
        ax.plot([place - WIDE / 2, place + WIDE / 2], [0, 0], color=GREY, linewidth=0.6, zorder=3)
        if one is None:
            ax.text(place, -0.06, "none", fontsize=TINY, ha="center", va="top", color=GREY)
            continue
        _draw(one, place, ax, color)
        ax.text(place, -0.06, one.lines, fontsize=TINY, ha="center", va="top", linespacing=1.0)
    return ax


def _draw(one: Box, place: int, ax: Axes, color: str) -> None:
    low, high = one.between
    if low == high:
        ax.plot([place, place], [0, FULL], color=color, linewidth=2, solid_capstyle="butt")
        return

    def across(values: Floats | float) -> Floats:
        return np.asarray(place - WIDE / 2 + WIDE * (np.asarray(values) - low) / (high - low))

    left, right = across(one.low), across(one.high)
    thin = NARROW * WIDE - (right - left)  # equal values too are seen
    left, right = left - np.maximum(thin, 0) / 2, right + np.maximum(thin, 0) / 2
    bars = [[(a, 0), (a, h), (b, h), (b, 0)] for a, b, h in zip(left, right, FULL * one.heights, strict=True)]
    ax.add_collection(PolyCollection(bars, facecolors=color, edgecolors=color, linewidths=0.3, alpha=0.75))
    if low < 0 < high:
        ax.plot([across(0.0)] * 2, [0, FULL], color=GREY, linewidth=0.5, zorder=0)
