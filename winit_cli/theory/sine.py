"""Exact Gaussian means of the activation ``sin(w z)``, w = 30, which turns too fast for quadrature.

All follow from ``E[cos(w u)] = exp(-w^2 q / 2)`` for u ~ N(0, q).
"""

from __future__ import annotations

import math

from winit_cli.theory.activations import OMEGA_0

_W2 = OMEGA_0**2


def mean_square(q: float) -> float:
    """``E[f(u)^2] = (1 - exp(-2 w^2 q)) / 2``."""
    return -math.expm1(-2 * _W2 * q) / 2


def mean_power_of_slope(q: float, power: int) -> float:
    """``E[f'(u)^n]``, from ``cos(x)^n = 2^-n sum_k binomial(n, k) cos((n - 2 k) x)``."""
    terms: list[float] = [
        math.comb(power, k) * math.exp(-((power - 2 * k) ** 2) * _W2 * q / 2) for k in range(power + 1)
    ]
    return math.pow(OMEGA_0, power) * sum(terms) / 2.0**power


def slope_of_mean_square(q: float) -> float:
    """``d E[f(u)^2] / dq = w^2 exp(-2 w^2 q)``."""
    return _W2 * math.exp(-2 * _W2 * q)


def kernel(q: float, c: float) -> float:
    """``E[f(u) f(v)]`` for u, v ~ N(0, q) of correlation c, from ``2 sin sin = cos(u - v) - cos(u + v)``."""
    return (math.exp(-_W2 * q * (1 - c)) - math.exp(-_W2 * q * (1 + c))) / 2


def slope_kernel(q: float, c: float) -> float:
    """``E[f'(u) f'(v)]``."""
    return _W2 * (math.exp(-_W2 * q * (1 - c)) + math.exp(-_W2 * q * (1 + c))) / 2
