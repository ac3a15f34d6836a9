"""First derivatives of the activations; at a kink, the value on either side of it or the mean of both will do."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import erf, expit

from winit_cli.theory.activations import OMEGA_0, SELU_ALPHA, SELU_SCALE, Array


def _elu(z: Array) -> Array:
    return np.where(z > 0, 1.0, np.exp(np.minimum(z, 0)))


def _gelu(z: Array) -> Array:
    """Phi(z) + z phi(z)."""
    z = np.clip(z, -40, 40)  # beyond, the density is 0 and its exponent overflows
    slope: Array = 0.5 * (1 + erf(z / math.sqrt(2))) + z * np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return slope


def _silu(z: Array) -> Array:
    slope: Array = expit(z) * (1 + z * expit(-z))
    return slope


def _mish(z: Array) -> Array:
    """tanh(s) + z sigmoid(z) (1 - tanh(s)^2), s = softplus(z)."""
    t = np.tanh(np.logaddexp(0, z))
    slope: Array = t + z * expit(z) * (1 - t * t)
    return slope


DERIVATIVES: dict[str, Callable[[Array], Array]] = {
    "linear": np.ones_like,
    "relu": lambda z: np.where(z > 0, 1.0, 0.0),
    "leaky_relu": lambda z: np.where(z > 0, 1.0, 0.01),
    "tanh": lambda z: 1 / np.cosh(np.clip(z, -350, 350)) ** 2,
    "sigmoid": lambda z: expit(z) * expit(-z),
    "selu": lambda z: SELU_SCALE * np.where(z > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(z, 0))),
    "elu": _elu,
    "gelu": _gelu,
    "silu": _silu,
    "mish": _mish,
    "softplus": expit,
    "softsign": lambda z: (1 + np.abs(z)) ** -2.0,
    "hardtanh": lambda z: np.where(np.abs(z) < 1, 1.0, 0.0),
    "relu6": lambda z: np.where((z > 0) & (z < 6), 1.0, 0.0),
    "sine": lambda z: OMEGA_0 * np.cos(OMEGA_0 * z),
    "crelu": lambda z: np.where(z > 0, 1.0, 0.0),
}
