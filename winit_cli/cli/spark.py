"""Curves as a few letters each, on one scale for all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

BLOCKS, ASCII = "▁▂▃▄▅▆▇█", "_.-~=+*#"
LETTERS = 8
ENDED = "×"  # behind a curve that ends before the others do
FAR = 30  # a range over so many times its lower end is drawn by logarithms


def sparks(curves: Sequence[Sequence[float]], ceiling: float, *, blocks: str = BLOCKS) -> list[str]:
    """One text per curve, lowest block at the lowest value of all; what is above the ceiling counts as at it.

    Each letter is the value at one of LETTERS places from the first to the last step of the longest curve.
    """
    longest = max(map(len, curves), default=0)
    kept = [[min(value, ceiling) for value in curve] for curve in curves]
    level = _levels([value for curve in kept for value in curve], len(blocks))
    return ["".join(blocks[level(value)] for value in _places(curve, longest)) + _end(curve, longest) for curve in kept]


def _places(curve: Sequence[float], longest: int) -> list[float]:
    places = [round(at * (longest - 1) / (LETTERS - 1)) for at in range(LETTERS)]
    return [curve[place] for place in places if 0 <= place < len(curve)]


def _end(curve: Sequence[float], longest: int) -> str:
    return ENDED if 0 < len(curve) < longest else ""


def _levels(values: Sequence[float], count: int) -> Callable[[float], int]:
    """Which of so many levels a value is at, by logarithms where the values are far apart."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high <= low:
        return lambda value: 0
    is_far = high > FAR * low > 0
    scale: Callable[[float], float] = math.log if is_far else float
    bottom, top = scale(low), scale(high)
    return lambda value: round((scale(value) - bottom) / (top - bottom) * (count - 1))
