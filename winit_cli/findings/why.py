"""A few words on why a label ended where it did."""

from __future__ import annotations

import math

EVEN = 10.0  # gradients of the first and the last layer within this factor count as alike
TINY = 1e-3  # a network that learns begins with norms of 0.01 and more


def why(first: float, last: float) -> str:
    """What the gradients of the first and the last weight before training say."""
    if math.isnan(first) or math.isnan(last):
        return ""
    if first == 0 and last == 0:
        return "no layer gets a gradient"
    if first == 0:
        return "the first layer's gradient is 0"
    if last == 0:
        return "the last layer's gradient is 0"
    if max(first, last) < TINY:
        return f"all gradients vanish: first layer's {first:.0e}"
    ratio = first / last
    if ratio < 1 / EVEN:
        return f"first layer's gradient {ratio:.0e} of the last's"
    if ratio > EVEN:
        return f"first layer's gradient {ratio:.0e} × the last's"
    return f"gradients alike: first {ratio:.2g} × last"
