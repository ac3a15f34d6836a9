"""Expectations of an activation and its slope over pre-activations that need not be centred at 0."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

from winit_cli.probe.signal import BOUNDED, SATURATED_SLOPE
from winit_cli.theory.activations import ACTIVATIONS, Array, kinks
from winit_cli.theory.derivatives import DERIVATIVES
from winit_cli.theory.quadrature import mean

LEAST, LARGEST = 1e-100, 1e100  # sizes beyond which a signal is gone, or has exploded
_QUANTILES = ndtri((np.arange(1000) + 0.5) / 1000)
_KINDS: dict[str, Callable[[str], Callable[[Array], Array]]] = {
    "value": lambda activation: ACTIVATIONS[activation],
    "square": lambda activation: lambda z: ACTIVATIONS[activation](z) ** 2,
    "slope": lambda activation: lambda z: DERIVATIVES[activation](z) ** 2,
}


@lru_cache(maxsize=1 << 16)
def expectation(activation: str, kind: str, shift: float, variance: float, best_of: int = 1) -> float:
    """``E[f]``, ``E[f^2]`` or ``E[f'^2]`` (value, square, slope) at ``z ~ N(shift, variance)``, or at the largest of so
    many independent z; at a variance of 0, its limit."""
    g, s = _KINDS[kind](activation), math.sqrt(min(max(variance, LEAST), LARGEST))

    def weighted(u: Array) -> Array:
        largest: Array = best_of * ndtr(u / s) ** (best_of - 1) if best_of > 1 else np.ones_like(u)
        return g(u + shift) * largest

    return mean(weighted, s, [point - shift for point in (0.0, *kinks(activation))])


def saturated(activation: str, shift: float, variance: float) -> float:
    """Share of ``z ~ N(shift, variance)`` where the slope is below 0.059 of that at 0, as the probe counts it; 0 for
    activations that are not flat at both ends."""
    if activation not in BOUNDED:
        return 0.0
    slope = DERIVATIVES[activation]
    at: Array = shift + math.sqrt(variance) * _QUANTILES
    return float((np.abs(slope(at)) < SATURATED_SLOPE * np.abs(slope(np.zeros(1)))).mean())
