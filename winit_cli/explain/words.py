"""One sentence for what theory says of a stack of layers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from winit_cli.theory.activations import OMEGA_0
from winit_cli.theory.phase import growth
from winit_cli.theory.scale_free import SLOPES

SIGNAL = "the mean square of pre-activations"
NOTHING = 1e-6  # of a correlation
SLOPE = "squared gradients and squared small differences"


def of_stack(activation: str, stack: Mapping[str, Any]) -> str:
    """``with tanh the mean square … settles at q* = 1.178, where squared gradients … grow 1.21x …: chaotic …``."""
    joined = "and" if activation in SLOPES or stack["q_star"] is None else "where"  # chi_1 is that at q*
    return f"with {activation} {_forward(activation, stack)}, {joined} {_backward(stack)}: {_end(stack)}"


def _forward(activation: str, stack: Mapping[str, Any]) -> str:
    q_star, chi, sigma_b2 = stack["q_star"], stack["chi_1"], stack["sigma_b2"]
    if activation in SLOPES and stack["phase"] == "critical" and not sigma_b2:
        return f"{SIGNAL} stays as it comes in"
    if q_star is None:
        return f"{SIGNAL} {growth(chi, sigma_b2)}"
    if q_star == 0:
        by = f", {chi:.4g}x per layer" if activation in SLOPES else ""
        return f"{SIGNAL} falls {'slowly ' if stack['phase'] == 'critical' else ''}to 0{by}"
    if activation == "sine":
        of_sine = f"the sine takes {OMEGA_0:g} z, of size {OMEGA_0 * math.sqrt(q_star):.3g}"
        return f"{SIGNAL} z settles at q* = {q_star:.4g} ({of_sine})"
    return f"{SIGNAL} settles at q* = {q_star:.4g}" + (", where biases hold it up" if activation in SLOPES else "")


def _backward(stack: Mapping[str, Any]) -> str:
    chi = stack["chi_1"]
    if chi is None:
        return f"{SLOPE} grow with it"
    if stack["phase"] == "critical":
        return f"{SLOPE} keep their size"
    return f"{SLOPE} {'shrink' if chi < 1 else 'grow'} {chi:.4g}x per layer"


def _end(stack: Mapping[str, Any]) -> str:
    if stack["phase"] == "ordered":
        what = "signal and gradient vanish" if stack["q_star"] == 0 else "inputs become alike and gradients vanish"
        return f"ordered, {what} with depth"
    if stack["phase"] == "chaotic":
        end = f"{stack['c_star']:.2g} correlated" if stack["c_star"] > NOTHING else "uncorrelated"
        return f"chaotic, gradients explode with depth, and inputs, however alike, end {end}"
    return {
        "critical": "critical, gradients neither vanish nor explode",
        "unbounded": "unbounded, signal and gradient explode with depth",
    }[stack["phase"]]
