"""The gain of an activation: the factor on 1/sqrt(fan) that keeps the signal's size.

Where ``torch.nn.init.calculate_gain`` has the activation, torch's number is used, also where papers
differ (tanh 5/3, selu 3/4). For the others the gain is ``1 / sqrt(E[f(z)^2])``, z ~ N(0, 1), which keeps
the mean square of the pre-activations at 1 from layer to layer; for relu it gives the same sqrt(2).
"""

from __future__ import annotations

from functools import cache

import numpy as np

from winit_cli.errors import UsageError, known
from winit_cli.theory.activations import ACTIVATIONS, check_activation

IN_TORCH = ("linear", "relu", "leaky_relu", "tanh", "sigmoid", "selu")


@cache
def gain(activation: str) -> float:
    """The gain that belongs to an activation.

    Raises:
        UsageError: the activation is not known.
    """
    if activation not in ACTIVATIONS:
        raise UsageError(f"no gain for '{activation}'; {known(activation, ACTIVATIONS)}")
    if activation in IN_TORCH:
        from torch.nn.init import calculate_gain

        number: float = calculate_gain(activation)  # type: ignore[arg-type]
        return number
    return integrated(activation)


def integrated(activation: str) -> float:
    """``1 / sqrt(E[f(z)^2])`` also where torch has another number: selu 1 (Klambauer et al. 2017), tanh 1.5925.

    Raises:
        UsageError: the activation is not known.
    """
    check_activation(activation)
    return float(mean_square(activation) ** -0.5)


def mean_square(activation: str) -> float:
    """``E[f(z)^2]`` for z ~ N(0, 1), by the trapezoid rule, good to about 1e-9 (hardtanh has kinks)."""
    z = np.linspace(-12, 12, 240_001)
    density = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    return float(np.trapezoid(ACTIVATIONS[activation](z) ** 2 * density, z))
