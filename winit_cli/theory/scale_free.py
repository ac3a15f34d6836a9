"""Activations without a scale of their own, ``f(s u) = s f(u)`` for s > 0, and their exact kernels.

A leaky relu of slope a on the negative side; relu has a = 0, the linear map a = 1.
"""

from __future__ import annotations

import math

SLOPES = {"relu": 0.0, "leaky_relu": 0.01, "linear": 1.0, "crelu": 0.0}


def half_mean_square(slope: float = 0.0) -> float:
    """``E[f(z)^2] = E[f'(z)^2] = (1 + a^2) / 2``: 1/2 for relu (He et al. 2015, arXiv:1502.01852), 1 for linear."""
    return (1 + slope**2) / 2


def kernel(c: float, slope: float = 0.0) -> float:
    """``E[f(u) f(v)]`` for u, v ~ N(0, 1) with correlation c.

    For relu the arc-cosine kernel of degree 1, ``(sqrt(1 - c^2) + c (pi - arccos c)) / 2 pi`` (Cho & Saul 2009). A
    leaky relu is ``a u + (1 - a) relu(u)``, and ``E[u relu(v)] = c / 2``.
    """
    relu = (math.sqrt(1 - c * c) + c * (math.pi - math.acos(c))) / (2 * math.pi)
    return slope * c + (1 - slope) ** 2 * relu


def slope_kernel(c: float, slope: float = 0.0) -> float:
    """``E[f'(u) f'(v)]``: for relu the arc-cosine kernel of degree 0, ``(pi - arccos c) / 2 pi`` (Cho & Saul 2009)."""
    relu = (math.pi - math.acos(c)) / (2 * math.pi)
    return slope + (1 - slope) ** 2 * relu
