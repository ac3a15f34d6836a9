"""Relu nets that are dead before training begins."""

from __future__ import annotations

import math

from winit_cli.errors import UsageError
from winit_cli.tables import LARGEST


def born_dead(width: int, depth: int) -> float:
    """``1 - (1 - 2^-N)^L``: the probability that an input is lost on its way through L relu layers of N units.

    With symmetric weights and zero biases each unit is off with probability 1/2, whatever comes in; a layer whose N
    units are all off passes nothing on, and no gradient back. Lu, Shin, Su & Karniadakis 2019 (arXiv:1903.06733).

    Raises:
        UsageError: a size is below 1 or too large.
    """
    for name, size in (("width", width), ("depth", depth)):
        if not 1 <= size <= LARGEST:
            raise UsageError(f"{name} must be from 1 to {LARGEST}, got {size}")
    return -math.expm1(depth * math.log1p(-math.ldexp(1.0, -width)))
