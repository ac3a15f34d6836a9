"""Where a function of the mean square changes sign."""

from __future__ import annotations

import math
from collections.abc import Callable

LARGEST, LEAST = 1e12, 1e-24  # mean squares between which a fixed point is looked for
NOISE = 1e-12  # of a ratio of mean squares


def root(f: Callable[[float], float], low: float, high: float, tolerance: float) -> float:
    """The root of f between two ends of unlike sign, by Brent's method."""
    from scipy.optimize import brentq  # half a second of imports, for commands that may not need it

    return float(brentq(f, low, high, xtol=tolerance, rtol=1e-14))


def first_crossing(f: Callable[[float], float], start: float, stop: float) -> float | None:
    """The first q from ``start`` towards ``stop`` at which f(q) changes sign, by more than noise; None without one.

    Steps of a factor of 2 bracket it, and Brent's method on the logarithm of q finds it.
    """

    def of_log(log_q: float) -> float:
        return f(math.exp(log_q))

    at, end = math.log(start), math.log(stop)
    step = math.copysign(math.log(2), end - at)
    before, sign = at, 1 if of_log(at) > 0 else -1
    while at != end:
        at = end if abs(end - at) <= abs(step) else at + step
        value = sign * of_log(at)
        if value < -NOISE:
            return math.exp(root(of_log, before, at, 1e-14))
        before = at if value > 0 else before
    return None
