"""Gaussian expectations by Gauss-Legendre quadrature on panels that follow the integrand.

Gauss-Hermite nodes lie too far apart for an activation that turns within a small part of the Gaussian: for tanh at
sigma_w = 4, a hundred of them give chi_1 = 2.256 where the truth is 2.367. Here panels one standard deviation wide
meet panels that halve towards 0 and towards every kink, so that no panel holds more than one scale. Twice as many
panels change nothing but rounding (tests/test_theory_quadrature.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from winit_cli.theory.activations import Array

REACH = 10.0  # standard deviations: the mass beyond is 2e-23
NODES = 16  # in a panel
FINEST = 0.5  # width of the innermost panels at 0, in units of the activation's argument


def mean(f: Callable[[Array], Array], s: float, kinks: Sequence[float] = (), *, splits: int = 1) -> float:
    """``E[f(s z)]``, z ~ N(0, 1), for a function with kinks; ``splits`` cuts every panel in so many."""
    return _against_density(f, s, kinks, FINEST, splits)


def mean_times_z(f: Callable[[Array], Array], s: float, kinks: Sequence[float] = ()) -> float:
    """``E[z f(s z)]``, z ~ N(0, 1)."""
    return _against_density(lambda u: f(u) * (u / s), s, kinks, FINEST, 1)


def mean_of_product(
    f: Callable[[Array], Array], s: float, c: float, kinks: Sequence[float] = (), *, splits: int = 1
) -> float:
    """``E[f(u) f(v)]`` for u, v ~ N(0, s^2) with correlation c.

    Given what they share, u and v are independent: with ``g(m) = E[f(m + s sqrt(1 - |c|) y)]`` the expectation is
    ``E[g(m) g(±m)]``, m = s sqrt(|c|) x, the sign being that of c. Two one-dimensional rules, the inner one on panels
    of its own for every outer node.
    """
    own, shared = s * math.sqrt(1 - abs(c)), s * math.sqrt(abs(c))
    if own == 0:
        return mean(lambda u: f(u) * f(math.copysign(1, c) * u), s, [*kinks, *(-k for k in kinks)], splits=splits)
    if shared == 0:
        return mean(f, s, kinks, splits=splits) ** 2

    def smoothed(m: Array) -> Array:
        ends = np.sort(np.concatenate([m[:, None] + own * _steps(), _clipped(m, own, _dyadic(kinks, FINEST, s))], 1))
        u, width = _nodes(ends, splits)
        density = np.exp(-0.5 * ((u - m[:, None]) / own) ** 2) / (own * math.sqrt(2 * math.pi))
        found: Array = (f(u) * density * width).sum(axis=1)
        return found

    def product(m: Array) -> Array:
        return smoothed(m) ** 2 if c > 0 else smoothed(m) * smoothed(-m)

    centres = [*kinks, *(-k for k in kinks)] if c < 0 else kinks
    return _against_density(product, shared, centres, min(own, FINEST), splits)


def _against_density(
    f: Callable[[Array], Array], s: float, kinks: Sequence[float], finest: float, splits: int
) -> float:
    ends = np.concatenate([s * _steps(), _clipped(np.zeros(1), s, _dyadic(kinks, finest, s))[0]])
    u, width = _nodes(np.unique(ends)[None], splits)
    density = np.exp(-0.5 * (u / s) ** 2) / (s * math.sqrt(2 * math.pi))
    return float((f(u[0]) * (density * width)[0]).sum())


def _steps() -> Array:
    return np.arange(-REACH, REACH + 1)


def _dyadic(kinks: Sequence[float], finest: float, s: float) -> Array:
    """0 and the kinks, and on both sides of each the distances finest, 2 finest, 4 finest, … that a scale s meets."""
    largest = 2 * (REACH * s + max(map(abs, kinks), default=0))
    distances = finest * 2.0 ** np.arange(max(0, math.ceil(math.log2(largest / finest))))
    around = np.concatenate([-distances, [0], distances])
    return np.unique(np.add.outer([0, *kinks], around))


def _clipped(m: Array, s: float, points: Array) -> Array:
    """For every m (M,) the points (K,) within reach of it, (M, K); what is out of reach lies at the end."""
    return np.clip(points[None], m[:, None] - REACH * s, m[:, None] + REACH * s)


def _nodes(ends: Array, splits: int) -> tuple[Array, Array]:
    """Nodes and weights (M, n) of the panels between sorted ends (M, K)."""
    x, w = _legendre(splits)
    left, width = ends[:, :-1, None], np.diff(ends)[:, :, None]
    return (left + width * x).reshape(len(ends), -1), (width * w).reshape(len(ends), -1)


@cache
def _legendre(splits: int) -> tuple[Array, Array]:
    """Nodes and weights on [0, 1], cut in so many equal parts."""
    x, w = np.polynomial.legendre.leggauss(NODES)
    x, w = (x + 1) / 2, w / 2
    return ((np.arange(splits)[:, None] + x) / splits).ravel(), np.tile(w / splits, splits)
