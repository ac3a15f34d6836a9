"""A logarithmic axis that shows exact zeros on a line of their own, below every positive value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from winit_cli.plots.style import GREY

TICKS = 7
EVERYTHING = (0.0, math.inf)


@dataclass(frozen=True)
class LogScale:
    """The range ``low`` to ``high`` that is shown and, where a zero occurs, the ``floor`` that stands for it.

    ``cut_low`` and ``cut_high`` tell whether values beyond the range are drawn at its ends.
    """

    low: float
    high: float
    floor: float | None
    cut_low: bool = False
    cut_high: bool = False

    @staticmethod
    def over(values: ArrayLike, *, zero: float = 0.0, within: tuple[float, float] = EVERYTHING) -> LogScale:
        """The scale of all finite values inside ``within``; values up to ``zero`` count as zero."""
        numbers = np.asarray(values, dtype=np.float64)
        numbers = numbers[np.isfinite(numbers)]
        positive = numbers[numbers > zero]
        seen = (float(positive.min()), float(positive.max())) if len(positive) else (1.0, 1.0)
        low, high = (float(np.clip(end, *within)) for end in seen)
        # a floor one decade down, or more where many decades are shown, stays visibly apart
        gap = 10 ** max(1.0, 0.12 * math.log10(high / low))
        floor = low / gap if len(positive) < len(numbers) else None
        return LogScale(low, high, floor, seen[0] < low, seen[1] > high)

    def place(self, values: ArrayLike, *, zero: float = 0.0) -> NDArray[np.float64]:
        """Where values are drawn: zeros at the floor, the rest where they are or at the nearest end."""
        numbers = np.asarray(values, dtype=np.float64)
        inside = np.clip(numbers, self.low, self.high)
        return inside if self.floor is None else np.where(numbers <= zero, self.floor, inside)

    def limits(self) -> tuple[float, float]:
        """The ends of the axis, with room at both."""
        bottom = self.low if self.floor is None else self.floor
        room = max(1.3, (self.high / bottom) ** 0.04)
        return bottom / room, self.high * room

    def apply(self, ax: Axes, axis: str) -> None:
        """Make the ``x`` or ``y`` axis of ``ax`` this scale, with the zero line drawn and ticked ``0``."""
        if self.floor is not None:
            line = ax.axvline if axis == "x" else ax.axhline
            line(self.floor, color=GREY, linewidth=0.6, linestyle=":", zorder=0)
        ax.set(**{f"{axis}scale": "log", f"{axis}lim": self.limits()})
        marks = self.marks()
        finer = finer_ticks(self.low, self.high)
        set_ticks(ax, axis, [place for place, _ in marks], [text for _, text in marks], finer)

    def marks(self) -> list[tuple[float, str]]:
        """Where the ticks are and what is written at them."""
        zero = [] if self.floor is None else [(self.floor, "0")]
        room = (self.high / self.low) ** 0.08
        inside = [
            place
            for place in ticks(self.low, self.high)
            if not (self.cut_low and place < self.low * room) and not (self.cut_high and place > self.high / room)
        ]
        places = [*([self.low] if self.cut_low else []), *inside, *([self.high] if self.cut_high else [])]
        return [*zero, *((place, self._text(place)) for place in places)]

    def _text(self, place: float) -> str:
        if self.cut_low and math.isclose(place, self.low):
            return f"< {tick_text(place)}"
        return f"> {tick_text(place)}" if self.cut_high and math.isclose(place, self.high) else tick_text(place)


def ticks(low: float, high: float) -> list[float]:
    """Powers of ten between ``low`` and ``high``, thinned to a few; within two decades also 2 and 5, or every digit
    where these give less than two."""
    bottom, top = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if math.log10(high / low) < 2:
        for digits in ((1, 2, 5), range(1, 10)):
            steps = [digit * 10.0**exponent for exponent in range(bottom - 1, top + 1) for digit in digits]
            inside = [step for step in steps if low * 0.999 <= step <= high * 1.001]
            if len(inside) > 1:
                return inside
        return inside or [low]
    every = math.ceil((top - bottom + 1) / TICKS)
    return [10.0**exponent for exponent in range(bottom, top + 1) if exponent % every == 0]


def tick_text(value: float) -> str:
    """``0.05`` or ``$10^{-9}$``, whichever is shorter to read."""
    if 1e-3 <= value < 1e4:
        return f"{value:.2g}" if value < 1 else f"{value:.4g}"
    exponent = math.log10(value)
    return f"$10^{{{round(exponent)}}}$" if math.isclose(exponent, round(exponent)) else f"{value:.1g}"


def set_ticks(
    ax: Axes, axis: str, places: list[float], texts: list[str] | None = None, finer: Sequence[float] = ()
) -> None:
    """Exactly these ticks, and between them no minor ones but those of ``finer``."""
    ruler = ax.xaxis if axis == "x" else ax.yaxis
    ruler.set_ticks(places, [tick_text(place) for place in places] if texts is None else texts)
    ruler.set_ticks(list(finer), minor=True)
    ruler.set_tick_params(which="minor", labelbottom=False, labelleft=False)


def finer_ticks(low: float, high: float) -> list[float]:
    """Unnamed ticks that make a logarithmic axis one to be seen: every digit, or beyond a few decades their powers."""
    bottom, top = math.floor(math.log10(low)), math.ceil(math.log10(high))
    digits = range(1, 10) if top - bottom <= TICKS else (1,)
    steps = (digit * 10.0**exponent for exponent in range(bottom, top + 1) for digit in digits)
    return [step for step in steps if low * 0.999 <= step <= high * 1.001]
