"""First-layer weights as small images, before and after training."""

from __future__ import annotations

from math import ceil
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pandas import DataFrame

from winit_cli.plots.panels import grid, remark
from winit_cli.plots.style import SMALL, short
from winit_cli.store.frames import RunFrames

COLUMNS = 2
MOST = 48
UNITS = 10
# beyond this factor one scale for both moments would leave the weights before training blank
GROWN = 20
WIDTH = 4.4
COLORS = "RdBu_r"
GAP = "#A8A8A8"
MOMENTS = {"start": "before", "end": "after"}
Image = NDArray[np.float64]


def figure(run: RunFrames) -> Figure | None:
    """A cell per label: units before training above the same units after it, at the first seed and rate."""
    frame = run.units
    if frame.empty:
        return None
    frame = frame[(frame["seed"] == frame["seed"].iloc[0]) & (frame["lr"] == frame["lr"].iloc[0])]
    labels = run.labels[:MOST]
    columns = min(COLUMNS, len(labels))
    height = _height(frame["values"].iloc[0])
    drawn, axes = grid(ceil(len(labels) / columns), columns, width=WIDTH, height=height)
    names = short(run.labels, 40)
    for label, ax in zip(labels, axes.flat, strict=False):
        limit = plot(frame[frame["label"] == label], ax)
        ax.set_title(f"{names[label]}   {limit}", loc="left", fontsize=SMALL, pad=3)
    for ax in axes.flat[len(labels) :]:
        ax.remove()
    _key(drawn, axes)
    remark(drawn, len(labels), len(run.labels), "labels are drawn")
    return drawn


def plot(frame: DataFrame, ax: Axes) -> str:
    """Draw one label's units on colour scales symmetric about 0; returns the text of their limits."""
    found = {moment: frame.loc[frame["moment"] == moment, "values"] for moment in MOMENTS}
    images = {moment: mosaic(values.iloc[0]) for moment, values in found.items() if len(values)}
    ax.spines[:].set_visible(False)
    if not images:
        ax.set(xticks=[], yticks=[])
        return "no trial yet"
    blank = np.full_like(next(iter(images.values())), np.nan)
    parts = {moment: images.get(moment, blank) for moment in MOMENTS}
    limits = _limits(parts)
    between = np.full((max(1, len(blank) // 12), blank.shape[1]), np.nan)
    strips = [part / (limits[moment] or 1) for moment, part in parts.items()]
    whole = np.ma.masked_invalid(np.vstack([strips[0], between, strips[1]]))
    ax.set_facecolor(GAP)
    aspect: Literal["equal", "auto"] = "equal" if np.ndim(frame["values"].iloc[0]) == 3 else "auto"
    ax.imshow(whole, cmap=COLORS, vmin=-1, vmax=1, aspect=aspect, interpolation="nearest")
    middles = [len(blank) / 2, len(blank) * 1.5 + len(between)]
    texts = [text if moment in images else f"{text}: none" for moment, text in MOMENTS.items()]
    ax.set_yticks(middles, texts, fontsize=7)
    ax.set_xticks([])
    ax.tick_params(length=0)
    return _stated(limits)


def _limits(parts: dict[str, Image]) -> dict[str, float]:
    """The colour limit of each moment: one for both unless the weights grew by more than GROWN."""
    own = {name: float(np.abs(part[np.isfinite(part)]).max(initial=0.0)) for name, part in parts.items()}
    if own["end"] > GROWN * own["start"] > 0:
        return own
    return dict.fromkeys(own, max(own.values()))


def _stated(limits: dict[str, float]) -> str:
    start, end = limits["start"], limits["end"]
    if start != end:
        return f"± {start:.2g}, after ± {end:.2g}"
    return f"± {start:.2g}" if start else "all exactly 0"


def mosaic(values: NDArray[np.float32]) -> Image:
    """Units side by side (units, height, width), or vectors below each other (units, length); NaN between."""
    units = np.asarray(values, dtype=np.float64)[:UNITS]
    if units.ndim == 2:
        thick = np.repeat(units[:, None, :], 4, axis=1)
        return np.vstack([_padded(unit, 1, axis=0) for unit in thick])[:-1]
    gap = max(1, units.shape[2] // 12)
    return np.hstack([_padded(unit, gap, axis=1) for unit in units])[:, :-gap]


def _height(values: NDArray[np.float32]) -> float:
    """The inches a cell needs under its title for two strips of images, or of vectors."""
    rows, columns = mosaic(values).shape
    return 0.35 + (min(2.5, 2.1 * rows / columns * (WIDTH - 0.6)) if np.ndim(values) == 3 else 1.3)


def _padded(unit: Image, gap: int, axis: int) -> Image:
    widths = [(0, 0), (0, 0)]
    widths[axis] = (0, gap)
    return np.pad(unit, widths, constant_values=np.nan)


def _key(drawn: Figure, axes: NDArray[Any]) -> None:
    left = [ax for ax in axes.flat if isinstance(ax, Axes) and ax.figure is not None]
    scale = ScalarMappable(Normalize(-1, 1), COLORS)
    bar = drawn.colorbar(scale, ax=left, orientation="horizontal", aspect=40, shrink=0.4)
    bar.set_ticks([-1, 0, 1], labels=["− limit", "0", "+ limit"], fontsize=SMALL)
