"""The exact kernel of the error function, a reference for what quadrature finds."""

from __future__ import annotations

import math


def kernel(q_u: float, q_v: float, covariance: float) -> float:
    """``E[erf(u) erf(v)] = 2/pi arcsin(2 r / sqrt((1 + 2 q_u)(1 + 2 q_v)))`` for Gaussians of mean squares q_u and q_v.

    Williams 1997, Computing with infinite networks.
    """
    return 2 / math.pi * math.asin(2 * covariance / math.sqrt((1 + 2 * q_u) * (1 + 2 * q_v)))


def slope_kernel(q_u: float, q_v: float, covariance: float) -> float:
    """``E[erf'(u) erf'(v)] = 4/pi / sqrt((1 + 2 q_u)(1 + 2 q_v) - 4 r^2)``, the kernel's derivative by r."""
    return 4 / math.pi / math.sqrt((1 + 2 * q_u) * (1 + 2 * q_v) - 4 * covariance**2)
