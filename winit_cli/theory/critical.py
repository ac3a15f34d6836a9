"""The critical line: where neither order nor chaos wins, and gradients keep their size.

Schoenholz et al. 2017 (arXiv:1611.01232); for other activations Hayou, Doucet & Rousseau 2019 (arXiv:1902.06853).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from winit_cli.theory.activations import check_activation
from winit_cli.theory.maps import mean_power_of_slope, mean_square, variance_map, variance_slope
from winit_cli.theory.roots import LARGEST, LEAST, first_crossing
from winit_cli.theory.scale_free import SLOPES, half_mean_square

SMALL = 0.01  # a mean square near 0 whose growth rounding does not hide


@dataclass(frozen=True)
class CriticalPoint:
    """``sigma_w2`` with chi_1 = 1, and q* there; None where none exists.

    ``slope`` is dV/dq at q*; at q* = 0, where that is 1 as chi_1 is, V(q) / q of a small q. Above 1 (gelu, silu and
    mish with small biases or none) no signal stays near q*.
    """

    sigma_w2: float | None
    q_star: float | None
    slope: float | None = None


@cache
def critical_point(activation: str, sigma_b2: float) -> CriticalPoint:
    """The sigma_w^2 at which chi_1 = 1.

    chi_1 = 1 and V(q) = q together leave one equation, ``q = sigma_b^2 + E[f^2] / E[f'^2]`` at sqrt(q) z, and then
    ``sigma_w^2 = 1 / E[f'^2]``; the smallest q counts. Without biases and with f(0) = 0 it is q = 0. Without a scale
    (relu: sigma_w^2 = 2) chi_1 does not depend on q, and there is no q*.
    """
    check_activation(activation)
    if activation in SLOPES:
        return CriticalPoint(1 / half_mean_square(SLOPES[activation]), None)
    q = _mean_square_at(activation, sigma_b2)
    if q is None:
        return CriticalPoint(None, None)
    sigma_w2 = 1 / mean_power_of_slope(activation, q)
    slope = variance_slope(q, activation, sigma_w2) if q else variance_map(SMALL, activation, sigma_w2, 0.0) / SMALL
    return CriticalPoint(sigma_w2, q, slope)


def critical_sigma_w2(activation: str, sigma_b2: float) -> float | None:
    """The sigma_w^2 at which chi_1 = 1, see ``critical_point``; None where chi_1 stays below 1."""
    return critical_point(activation, sigma_b2).sigma_w2


def _mean_square_at(activation: str, sigma_b2: float) -> float | None:
    """The smallest root of ``q = sigma_b^2 + E[f^2] / E[f'^2]``."""

    def excess(q: float) -> float:
        return 1 - (sigma_b2 + mean_square(activation, q) / mean_power_of_slope(activation, q)) / q

    if sigma_b2 == 0 == mean_square(activation, 0):
        return 0.0
    return first_crossing(excess, sigma_b2 or LEAST, LARGEST)
