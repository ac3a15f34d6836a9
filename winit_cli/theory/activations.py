"""Activations by torch's functional names, as numpy functions for the theory.

The torch function of the same name is ``torch.nn.functional.<name>`` (``linear`` is the identity). torch lacks
``sine``, sin(30 z) (Sitzmann et al. 2020), and ``crelu``, relu(z) and relu(-z) of every unit (Shang et al. 2016): its
means over all outputs are those of relu for symmetric z, so that relu stands here for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit

from winit_cli.errors import UsageError, brief, known

Array = NDArray[np.float64]

OMEGA_0 = 30.0  # of a sine
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017


def _elu(z: Array) -> Array:
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


def _softplus(z: Array) -> Array:
    return np.logaddexp(0, z)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "tanh": np.tanh,
    "sigmoid": expit,
    "selu": lambda z: SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(np.minimum(z, 0))),
    "elu": _elu,
    "gelu": lambda z: 0.5 * z * (1 + erf(z / math.sqrt(2))),
    "silu": lambda z: z * expit(z),
    "mish": lambda z: z * np.tanh(_softplus(z)),
    "softplus": _softplus,
    "softsign": lambda z: z / (1 + np.abs(z)),
    "hardtanh": lambda z: np.clip(z, -1, 1),
    "relu6": lambda z: np.clip(z, 0, 6),
    "sine": lambda z: np.sin(OMEGA_0 * z),
    "crelu": lambda z: np.maximum(z, 0),
}

# where an activation or one of its first two derivatives jumps: quadrature splits there
KINKS: dict[str, tuple[float, ...]] = {
    "relu": (0,),
    "leaky_relu": (0,),
    "selu": (0,),
    "elu": (0,),
    "softsign": (0,),
    "hardtanh": (-1, 1),
    "relu6": (0, 6),
    "crelu": (0,),
}


OUTPUTS = {"crelu": 2}  # of a unit, where they are more than one


def kinks(activation: str) -> tuple[float, ...]:
    """Where the activation is not smooth."""
    return KINKS.get(activation, ())


def check_activation(activation: str) -> None:
    """Refuse a name that no activation has.

    Raises:
        UsageError: the activation is not known; the message names the nearest one.
    """
    if activation not in ACTIVATIONS:
        raise UsageError(f"unknown activation '{brief(activation)}'; {known(activation, ACTIVATIONS)}")
