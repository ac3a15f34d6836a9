"""A curve small enough for a table's cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from winit_cli.findings.numbers import number
from winit_cli.plots.window import Window
from winit_cli.report.bands import thinned
from winit_cli.report.charts import path
from winit_cli.report.scales import Axis

WIDTH, HEIGHT, ROOM = 84, 26, 3
POINTS = 60


@dataclass(frozen=True)
class Sparkline:
    """The path of a curve, and what it shows in words."""

    path: str
    text: str


def sparkline(curve: Sequence[float], window: Window) -> Sparkline | None:
    """A curve in the window that all rows of a table share, so that they can be compared; what leaves it runs along
    its edge."""
    numbers = np.asarray(curve, dtype=np.float64)
    finite = numbers[np.isfinite(numbers)]
    if len(finite) < 2:
        return None
    kept = thinned(len(numbers), POINTS)
    axis = Axis(window.low, window.high, window.log, HEIGHT - ROOM, ROOM)
    across = ROOM + kept / (len(numbers) - 1) * (WIDTH - 2 * ROOM)
    drawn = np.clip(axis.place(numbers[kept]), ROOM, HEIGHT - ROOM)
    return Sparkline(
        path(across, drawn), f"training loss from {number(float(finite[0]))} to {number(float(finite[-1]))}"
    )
