"""Numbers in few letters."""

from __future__ import annotations


def short(number: float, digits: int = 2) -> str:
    """``0.98``, ``120``, ``3e-5``."""
    if number == 0 or 1e-3 <= abs(number) < 1e3:
        text = f"{number:.{digits}g}"
        return f"{float(text):g}" if "e" in text else text
    significand, _, power = f"{number:.{digits - 1}e}".partition("e")
    return f"{significand}e{int(power)}" if power else significand
