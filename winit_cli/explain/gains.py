"""The gain of an activation under the conventions there are, and where a scheme's gain comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from winit_cli.explain.spelled import spelled
from winit_cli.schemes import SCHEMES
from winit_cli.theory.activations import ACTIVATIONS
from winit_cli.theory.gains import IN_TORCH, gain
from winit_cli.theory.maps import mean_square

TORCHS = "torch.nn.init.calculate_gain"
OURS = "1 / sqrt(E[f(z)^2]), z ~ N(0, 1)"
SELU_PAPER = "Klambauer et al. 2017, arXiv:1706.02515"


def activation_facts(activation: str) -> dict[str, Any]:
    """``gain`` is what gain: auto means, ``source`` where it is from, ``torch`` is torch's or None.

    ``keeps_mean_square`` is the one that keeps a mean square of 1 of pre-activations, ``paper`` the paper's where that
    speaks against torch.

    Raises:
        UsageError: the activation is not known.
    """
    number = gain(activation)
    return {
        "name": activation,
        "gain": number,
        "source": _source(activation),
        "torch": number if activation in IN_TORCH else None,
        "keeps_mean_square": _keeps_mean_square(activation),
        "paper": 1.0 if activation == "selu" else None,
        "sentence": _sentence(activation, number),
    }


def gain_source(scheme: str, options: Mapping[str, Any], given: Mapping[str, Any], activation: str) -> str:
    """Where the gain of a scheme is from: ``options`` with their values, ``given`` as the user wrote them."""
    if scheme == "pytorch_default":
        return f"{TORCHS}('leaky_relu', sqrt(5))"
    if "nonlinearity" in options:
        name = options["nonlinearity"]
        return f"{TORCHS}('{name}', {options.get('a', 0):g})" if name == "leaky_relu" else f"{TORCHS}('{name}')"
    if "gain" not in options or SCHEMES[scheme].choose is not None:
        return "the scheme's own"
    named = given.get("gain")
    if isinstance(named, str):
        name = named if named in ACTIVATIONS else activation
        where = TORCHS if name in IN_TORCH and options["gain"] == gain(name) else OURS
        return f"gain: {named}, {where}" if name == named else f"gain: {named}, of {name}, {where}"
    return "the default" if options["gain"] == SCHEMES[scheme].options.model_fields["gain"].default else "as given"


def _source(activation: str) -> str:
    return TORCHS if activation in IN_TORCH else OURS


def _keeps_mean_square(activation: str) -> float:
    return 1 / math.sqrt(mean_square(activation, 1.0))


def _sentence(activation: str, number: float) -> str:
    keeping = _keeps_mean_square(activation)
    first = f"{spelled(number)} = {number:.4g}" if spelled(number) != f"{number:.4g}" else spelled(number)
    if activation == "selu":
        return f"{first} ({TORCHS}), but 1 in the paper ({SELU_PAPER}), which keeps mean 0 and variance 1: lecun_normal"
    if activation not in IN_TORCH:
        return f"{first}: {OURS}; torch has none"
    if math.isclose(number, keeping, rel_tol=1e-6):
        return f"{first} ({TORCHS}): keeps the mean square of pre-activations"
    return f"{first} ({TORCHS}); {keeping:.4g} would keep a mean square of 1"
