"""Axes of the page's charts: from values to places in a drawing, with ticks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from winit_cli.plots.logscale import LogScale, finer_ticks, tick_text, ticks

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
OUTSIDE = 0.5  # of the axis: how far beyond its ends places go before they are cut
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tick:
    """A mark of an axis: where in the drawing, and what is written there."""

    at: float
    text: str


@dataclass(frozen=True)
class Axis:
    """Values ``low`` to ``high`` lie at ``start`` to ``end`` of the drawing; on a logarithmic one a value that is not
    positive lies at ``floor``, if there is one, and nowhere else. Values outside of ``within`` lie at its ends.
    ``finer`` are the places in the drawing of ticks without a text."""

    low: float
    high: float
    log: bool
    start: float
    end: float
    ticks: tuple[Tick, ...] = ()
    finer: tuple[float, ...] = ()
    floor: float | None = None
    within: tuple[float, float] | None = None

    def place(self, values: ArrayLike) -> Floats:
        """Where values lie in the drawing; NaN stays NaN."""
        numbers = np.asarray(values, dtype=np.float64)
        low, high = self.low, self.high
        if self.log:
            inside = numbers if self.within is None else np.clip(numbers, *self.within)
            shown = np.where(numbers > 0, inside, np.nan if self.floor is None else self.floor)
            numbers, low, high = np.log10(shown), float(np.log10(low)), float(np.log10(high))
        share = np.clip((numbers - low) / (high - low), -OUTSIDE, 1 + OUTSIDE)
        return np.asarray(self.start + share * (self.end - self.start), dtype=np.float64)

    def document(self) -> dict[str, object]:
        """What the script needs to place a value."""
        names = ("low", "high", "log", "start", "end", "floor", "within")
        return {name: getattr(self, name) for name in names}


def linear(low: float, high: float, start: float, end: float) -> Axis:
    """A linear axis with about five round ticks."""
    bare = Axis(low, high, False, start, end)
    room = 1e-9 * (high - low)
    places = [float(at) for at in MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)]
    return _ticked(bare, [(at, f"{at:.6g}") for at in places if low - room <= at <= high + room])


def logarithmic(low: float, high: float, start: float, end: float) -> Axis:
    """A logarithmic axis; ``low`` is positive."""
    bare = Axis(low, high, True, start, end)
    return _ticked(bare, [(at, plain(tick_text(at))) for at in ticks(low, high)], finer_ticks(low, high))


def with_zeros(scale: LogScale, start: float, end: float) -> Axis:
    """A logarithmic axis that shows zeros on a line of their own, as figures do."""
    low, high = scale.limits()
    bare = Axis(low, high, True, start, end, floor=scale.floor, within=(scale.low, scale.high))
    marks = [(0.0 if at == scale.floor else at, plain(text)) for at, text in scale.marks()]
    return _ticked(bare, marks, finer_ticks(scale.low, scale.high))


def named(names: Sequence[str], start: float, end: float, letter: float = 8.0) -> Axis:
    """Places 1 to n with their names, or with numbers where the names need more room than there is."""
    count = len(names)
    bare = Axis(0.6, count + 0.4, False, start, end)
    fits = count * letter * max((len(name) + 1 for name in names), default=0) <= end - start
    every = 1 if fits else -(-count // 8)
    shown = [place for place in range(1, count + 1) if place == 1 or place % every == 0 or fits]
    return _ticked(bare, [(float(place), names[place - 1] if fits else str(place)) for place in shown])


def plain(text: str) -> str:
    """A tick's text without matplotlib's formulas: ``$10^{-9}$`` is ``10⁻⁹``."""
    head, found, tail = text.partition("$10^{")
    return head + "10" + tail.removesuffix("}$").translate(SUPERSCRIPT) if found else text


def _ticked(axis: Axis, marks: Sequence[tuple[float, str]], finer: Sequence[float] = ()) -> Axis:
    places = axis.place([at for at, _ in marks])
    found = tuple(Tick(round(float(at), 1), text) for at, (_, text) in zip(places, marks, strict=True))
    between = tuple(round(float(at), 1) for at in axis.place(finer))
    return replace(axis, ticks=found, finer=between)
