"""The maps that carry an infinitely wide layer's statistics to the next one.

Pre-activations of a wide layer are Gaussian: mean square q, and correlation c between two inputs. With weights of
variance sigma_w^2 / fan_in and biases of variance sigma_b^2 the next layer has (Poole et al. 2016, arXiv:1606.05340)

    V(q) = sigma_w^2 E[f(sqrt(q) z)^2] + sigma_b^2                                          z ~ N(0, 1)
    C(c) = (sigma_w^2 E[f(u) f(v)] + sigma_b^2) / V(q)        u, v ~ N(0, q) with correlation c
"""

from __future__ import annotations

import math

import numpy as np

from winit_cli.theory import sine
from winit_cli.theory.activations import ACTIVATIONS, check_activation, kinks
from winit_cli.theory.derivatives import DERIVATIVES
from winit_cli.theory.quadrature import mean, mean_of_product, mean_times_z

SMALLEST = 1e-30  # mean square that stands for 0 where only the slopes at 0 matter


def mean_square(activation: str, q: float) -> float:
    """``E[f(sqrt(q) z)^2]``, the mean square after the activation."""
    check_activation(activation)
    if activation == "sine":
        return sine.mean_square(q)
    f = ACTIVATIONS[activation]
    if q == 0:
        return float(f(np.zeros(()))) ** 2
    return mean(lambda u: f(u) ** 2, math.sqrt(q), kinks(activation))


def mean_power_of_slope(activation: str, q: float, power: int = 2) -> float:
    """``E[f'(sqrt(q) z)^power]``; at q = 0 its limit, which is the mean over the two sides of a kink."""
    check_activation(activation)
    if activation == "sine":
        return sine.mean_power_of_slope(q, power)
    slope = DERIVATIVES[activation]
    return mean(lambda u: slope(u) ** power, math.sqrt(q or SMALLEST), kinks(activation))


def variance_map(q: float, activation: str, sigma_w2: float, sigma_b2: float) -> float:
    """``V(q) = sigma_w^2 E[f(sqrt(q) z)^2] + sigma_b^2``: the mean square of the next layer's pre-activations."""
    return sigma_w2 * mean_square(activation, q) + sigma_b2


def variance_slope(q: float, activation: str, sigma_w2: float) -> float:
    """``dV/dq = sigma_w^2 E[z f'(sqrt(q) z) f(sqrt(q) z)] / sqrt(q)``.

    Integration by parts turns it into ``chi_1 + sigma_w^2 E[f'' f]`` of Schoenholz et al. 2017 (arXiv:1611.01232);
    this form needs no second derivative and holds with kinks.
    """
    check_activation(activation)
    if activation == "sine":
        return sigma_w2 * sine.slope_of_mean_square(q)
    f, slope, s = ACTIVATIONS[activation], DERIVATIVES[activation], math.sqrt(q or SMALLEST)
    return sigma_w2 * mean_times_z(lambda u: f(u) * slope(u), s, kinks(activation)) / s


def kernel(activation: str, q: float, c: float) -> float:
    """``E[f(u) f(v)]`` for u, v ~ N(0, q) of correlation c."""
    if activation == "sine":
        return sine.kernel(q, c)
    return mean_of_product(ACTIVATIONS[activation], math.sqrt(q), c, kinks(activation))


def slope_kernel(activation: str, q: float, c: float) -> float:
    """``E[f'(u) f'(v)]`` for u, v ~ N(0, q) of correlation c."""
    if activation == "sine":
        return sine.slope_kernel(q, c)
    return mean_of_product(DERIVATIVES[activation], math.sqrt(q), c, kinks(activation))


def correlation_map(c: float, activation: str, sigma_w2: float, sigma_b2: float, q: float) -> float:
    """``C(c) = (sigma_w^2 E[f(u) f(v)] + sigma_b^2) / V(q)``, the next layer's correlation; c in [-1, 1], q > 0."""
    check_activation(activation)
    shared = kernel(activation, q, c)
    return (sigma_w2 * shared + sigma_b2) / variance_map(q, activation, sigma_w2, sigma_b2)


def correlation_slope(c: float, activation: str, sigma_w2: float, sigma_b2: float, q: float) -> float:
    """``dC/dc = sigma_w^2 E[f'(u) f'(v)] q / V(q)``; at c = 1 and the fixed point q* it is chi_1."""
    check_activation(activation)
    shared = slope_kernel(activation, q, c)
    return sigma_w2 * shared * q / variance_map(q, activation, sigma_w2, sigma_b2)
