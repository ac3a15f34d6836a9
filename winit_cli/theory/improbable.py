"""How probable the moments of a sample are under the distribution that a formula promises."""

from __future__ import annotations

import math

from winit_cli.theory.moments import Moments

ROUNDING = 1e-5  # relative: of sums of numbers in single precision that are all equal


def improbability(expected: Moments, n: int, mean: float, std: float) -> dict[str, float]:
    """Two-sided p-values of the mean and the standard deviation (over the population) of n values.

    As for independent normal draws: the mean is normal with deviation std / sqrt(n), and the sum of squares about the
    expected mean is std^2 chi^2 with n degrees of freedom. Draws with lighter tails, uniform ones, are less probable to
    lie that far out. Where the expected deviation is 0 all values must be the expected mean: p is 0 or 1. Empty where
    nothing is promised, or the values are not independent.
    """
    if expected.std is None or expected.mean is None:
        return {}
    if expected.std == 0:
        near = ROUNDING * max(abs(expected.mean), 1e-30)
        return {"mean": float(abs(mean - expected.mean) <= near), "std": float(std <= near)}
    if not expected.drawn:
        return {}
    from scipy.special import chdtr, chdtrc, ndtr

    z = abs(mean - expected.mean) / expected.std * math.sqrt(n)
    total = (std**2 + (mean - expected.mean) ** 2) / expected.std**2 * n
    tails = float(chdtr(n, total)), float(chdtrc(n, total))
    return {"mean": 2 * float(ndtr(-z)), "std": min(1.0, 2 * min(tails))}
