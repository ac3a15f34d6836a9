"""Rows of tables, and numbers as people read them."""

from __future__ import annotations

import math
from typing import Any

from pandas import DataFrame

Row = dict[str, Any]
DIGITS = 5


def records(frame: DataFrame) -> list[Row]:
    """The rows of a table as dictionaries."""
    return [{str(name): cell for name, cell in row.items()} for row in frame.to_dict("records")]


def counted(count: float, noun: str) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{number(count)} {noun}{'s' if count != 1 else ''}"


def number(value: object) -> str:
    """Four significant digits; blank for None and NaN; whole numbers and text as they are."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.4g}"
    return f"{value:.0f}" if isinstance(value, float) and abs(value) < 1e6 else _whole(value)


def _whole(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def p_text(p: float) -> str:
    """Two digits, or ``<0.001``; what is below 0.05 is not rounded up to it. Blank for NaN."""
    if math.isnan(p) or p < 0.001:
        return "" if math.isnan(p) else "<0.001"
    text = f"{p:.2g}"
    return text if p >= 0.05 or float(text) < 0.05 else "0.049"


def open_places(row: Row) -> str:
    """``1-3``: the places that the seeds leave open to a row of the ranking."""
    low, high = row["rank_low"], row["rank_high"]
    return f"{low}" if low == high else f"{low}-{high}"


def ranked(row: Row) -> str:
    """``2 (1-3)``, or ``2`` where the seeds leave no other place open."""
    places = open_places(row)
    return f"{row['rank']} ({places})" if "-" in places else f"{row['rank']}"


def with_interval(mean: float, low: float, high: float) -> str:
    """``0.912 ± 0.006``: the mean to the second digit of half its interval, but to no more than five digits in all; the
    mean alone without an interval."""
    if math.isnan(mean) or math.isnan(low):
        return number(mean)
    half = (high - low) / 2
    if half == 0:
        return f"{number(mean)} ± 0"
    places = 1 - math.floor(math.log10(half))
    digits = places + 1 + (math.floor(math.log10(abs(mean))) if mean else 0)
    if not 0 < places <= 6 or digits > DIGITS:
        return f"{mean:.{min(max(digits, 2), DIGITS)}g} ± {half:.2g}"
    return f"{mean:.{places}f} ± {half:.{places}f}"
