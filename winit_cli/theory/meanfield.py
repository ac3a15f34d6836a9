"""Fixed points of the mean-field maps, and the depths over which signals reach them.

Poole et al. 2016 (arXiv:1606.05340); Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017 (arXiv:1611.01232). Every
function takes sigma_w^2 = fan_in Var(w) and sigma_b^2 = Var(b), and gives None for what does not exist.
"""

from __future__ import annotations

import math
from functools import lru_cache

from winit_cli.theory.activations import check_activation
from winit_cli.theory.maps import (
    correlation_map,
    correlation_slope,
    mean_power_of_slope,
    variance_map,
    variance_slope,
)
from winit_cli.theory.roots import LARGEST, LEAST, NOISE, first_crossing, root
from winit_cli.theory.scale_free import SLOPES, half_mean_square

__all__ = ["c_star", "chi_1", "correlation_map", "q_star", "variance_map", "xi_c", "xi_q"]

CRITICAL = 1e-7  # a slope this near to 1 has no depth scale; c* is known no better where it meets 1


@lru_cache(maxsize=4096)
def q_star(activation: str, sigma_w2: float, sigma_b2: float) -> float | None:
    """The mean square that pre-activations reach from 1, ``V(q*) = q*``; None where they grow without end.

    V rises with q, so they move from 1 towards the nearest fixed point on one side, which is stable. Without a scale
    (relu, leaky_relu, linear; g = sigma_w^2 E[f(z)^2]) q* = sigma_b^2 / (1 - g) for g < 1. None at g = 1, where without
    biases every q stays as it is, and above.
    """
    check_activation(activation)
    if activation in SLOPES:
        growth = sigma_w2 * half_mean_square(SLOPES[activation])
        return sigma_b2 / (1 - growth) if growth < 1 - NOISE else None

    def excess(q: float) -> float:
        return variance_map(q, activation, sigma_w2, sigma_b2) / q - 1

    if excess(1) > 0:
        return first_crossing(excess, 1, LARGEST)
    least = variance_map(0, activation, sigma_w2, sigma_b2)
    return first_crossing(excess, 1, least or LEAST) or least


def chi_1(activation: str, sigma_w2: float, sigma_b2: float) -> float | None:
    """``sigma_w^2 E[f'(sqrt(q*) z)^2]``: the factor on squared gradients and squared small differences in a layer.

    Below 1 the phase is ordered, above it chaotic. Without a scale it does not depend on q and exists without q*.
    """
    q = q_star(activation, sigma_w2, sigma_b2)
    if activation in SLOPES:
        return sigma_w2 * half_mean_square(SLOPES[activation])
    return None if q is None else sigma_w2 * mean_power_of_slope(activation, q)


@lru_cache(maxsize=4096)
def c_star(activation: str, sigma_w2: float, sigma_b2: float) -> float | None:
    """The stable fixed point of the correlation map in [0, 1].

    C is a power series with coefficients >= 0 and C(1) = 1, so it is 1 where chi_1 <= 1, and else the one fixed point
    below 1. For q* = 0 the convention is the limit of small biases, 1. With relu and leaky_relu correlations go to 1
    also where q grows. None for growing signals else, and where the linear map leaves every correlation as it is.
    """
    q, chi = q_star(activation, sigma_w2, sigma_b2), chi_1(activation, sigma_w2, sigma_b2)
    if q is None or chi is None:
        return 1.0 if activation in SLOPES and activation != "linear" else None
    if chi <= 1 + CRITICAL:
        return 1.0

    def excess(c: float) -> float:  # (C(c) - c) / (1 - c), which does not vanish at 1
        return (correlation_map(c, activation, sigma_w2, sigma_b2, q) - c) / (1 - c) if c < 1 else 1 - chi

    return 0.0 if excess(0) < NOISE else root(excess, 0, 1, 1e-15)


def xi_q(activation: str, sigma_w2: float, sigma_b2: float) -> float | None:
    """Layers over which a departure from q* falls by e: ``-1 / ln|dV/dq|`` at q*; None without q*."""
    q = q_star(activation, sigma_w2, sigma_b2)
    return None if q is None else depth_scale(variance_slope(q, activation, sigma_w2))


def xi_c(activation: str, sigma_w2: float, sigma_b2: float) -> float | None:
    """Layers over which a departure from c* falls by e: ``-1 / ln(dC/dc)`` at c*; None where signals grow without end.

    Where c* = 1 the slope is chi_1, and xi_c is also the depth over which squared gradients change by e.
    """
    q, c = q_star(activation, sigma_w2, sigma_b2), c_star(activation, sigma_w2, sigma_b2)
    chi = chi_1(activation, sigma_w2, sigma_b2)
    if c is None or chi is None or (q is None and chi > 1 + CRITICAL):
        return None
    return depth_scale(chi if q is None or c == 1 else correlation_slope(c, activation, sigma_w2, sigma_b2, q))


def depth_scale(slope: float) -> float:
    """``-1 / ln|slope|``; 0 for a slope of 0, infinite where nothing falls."""
    if abs(slope) >= 1 - CRITICAL:
        return math.inf
    return -1 / math.log(abs(slope)) if slope else 0.0
