"""What part of the y axis a row of panels of curves shows, and what is left out of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from winit_cli.plots.panels import Facet
from winit_cli.plots.style import named
from winit_cli.stats import numbers_of, split_label
from winit_cli.store.frames import RunFrames


@dataclass(frozen=True)
class Window:
    """What part of the y axis a row of panels shows."""

    low: float
    high: float
    log: bool


def window_of(frame: DataFrame, value: str, constant: float | None, lost: Sequence[str]) -> Window:
    """What the surviving trials need, up to ten times the constant predictor's loss.

    One exploding scheme must not flatten the others, so diverged trials have no say in the upper end while any
    survives; how low they came before they diverged is seen.
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
    before = numbers_of(frame[frame["trial"].isin(lost)], value)
    low = min(low, float(np.nanmin(before, initial=low)))
    positive = np.append(positive, before[(before > 0) & (before < high)])
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


def cut_off(frame: DataFrame, split: str, value: str, window: Window) -> str:
    """Which labels leave the window above, as a remark; a blank where none does."""
    mine = frame[frame["split"] == split]
    middle = mine.assign(number=numbers_of(mine, value)).groupby(["label", "step"], sort=False)["number"].median()
    labels = middle[middle > window.high].index.unique("label")
    return f"above {window.high:.3g}: {named(list(labels))}" if len(labels) else " "


def constant_of(run: RunFrames, facet: Facet) -> float | None:
    """The loss of the best constant predictor on the facet's data, which a variant may have of its own."""
    own = run.data.get("constant_losses", {}).get(split_label(facet.labels[0])[1])
    found = run.data.get("constant_loss") if own is None else own
    return None if found is None or not math.isfinite(found) else float(found)


def diverged(run: RunFrames) -> DataFrame:
    """The trials that diverged."""
    return run.trials[run.trials["status"] == "diverged"]
