"""What a scheme does to the signal and its gradient: this layer, and a deep stack of square layers like it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from winit_cli.explain.layers import Layer
from winit_cli.explain.parameters import Parameter
from winit_cli.explain.words import of_stack
from winit_cli.theory.activations import OMEGA_0
from winit_cli.theory.phase import mean_field, phase
from winit_cli.theory.propagation import gradient_factor, layer_factor, mean_squares
from winit_cli.theory.scale_free import SLOPES

Q = {"sine": OMEGA_0**-2}  # the mean square of pre-activations from which all is told, where it is not 1
DEPTHS = (10, 30)
LARGEST = 1e6  # of sigma_w2: beyond, signals overflow or saturate, and there is nothing to tell


def q_of(activation: str) -> float:
    """The mean square of pre-activations from which all is told."""
    return Q.get(activation, 1.0)


def unknown(parameters: Sequence[Parameter]) -> str | None:
    """Why the theory of wide layers has nothing to say about these values; ``None`` where it has."""
    weight = parameters[0]
    if any(one.std is None or one.mean is None for one in parameters):
        return "no theory: the row of the scheme has no moments for these values"
    if shifted := [f"{one.param} {one.mean:.4g}" for one in parameters if one.mean]:
        return f"no theory: it needs values around 0, and here the mean is not 0 ({', '.join(shifted)})"
    if _sigma_w2(weight) > LARGEST:
        return f"no theory: at fan_in Var(w) = {_sigma_w2(weight):.3g} signals overflow or saturate at once"
    return None


def signal_facts(
    activation: str, layer: Layer, of_layer: Sequence[Parameter], square: Sequence[Parameter]
) -> dict[str, Any]:
    """Factors on mean squares of pre-activations (forward, fan_in) and gradients (backward, fan_out) at ``q_of``.

    ``of_layer`` are the layer's weight and biases, ``square`` those of the square layer of its width. The numbers of
    ``stack`` are for such square layers one after another. Where there is no theory there is only a sentence.
    """
    reason = unknown(of_layer) or unknown(square)
    if reason is not None:
        return {"activation": activation, "sentence": f"{reason}; winit probe measures it"}
    stack = _stack(activation, square)
    return {
        "activation": activation,
        "q": q_of(activation),
        "scale_matters": activation not in SLOPES,
        "layer": str(layer),
        **_factors(activation, of_layer),
        "stack": {"layer": str(layer.square(activation)), **stack},
        "sentence": of_stack(activation, stack),
    }


def _factors(activation: str, parameters: Sequence[Parameter]) -> dict[str, float]:
    weight, sigma_b2 = parameters[0], _sigma_b2(parameters)
    assert weight.variance is not None and weight.fan_in
    return {
        "sigma_w2": _sigma_w2(weight),
        "sigma_b2": sigma_b2,
        "layer_factor": layer_factor(activation, weight.variance, weight.fan_in, sigma_b2, q_of(activation)),
        "gradient_factor": _gradient_factor(activation, weight, q_of(activation)),
    }


def _stack(activation: str, parameters: Sequence[Parameter]) -> dict[str, Any]:
    factors = _factors(activation, parameters)
    sigma_w2, sigma_b2 = factors["sigma_w2"], factors["sigma_b2"]
    found = mean_field(activation, sigma_w2, sigma_b2)
    q = q_of(activation)
    squares = mean_squares(activation, sigma_w2, sigma_b2, q, max(DEPTHS) + 1)
    slopes = [_gradient_factor(activation, parameters[0], q) for q in squares[:-1]]
    after = {
        f"after_{depth}": {"mean_square": squares[depth] / q, "gradient": math.prod(slopes[:depth])} for depth in DEPTHS
    }
    return factors | after | asdict(found) | {"phase": phase(found)}


def _gradient_factor(activation: str, weight: Parameter, q: float) -> float:
    assert weight.variance is not None and weight.fan_out
    return gradient_factor(activation, weight.variance, weight.fan_out, q)


def _sigma_w2(weight: Parameter) -> float:
    assert weight.variance is not None and weight.fan_in
    return weight.variance * weight.fan_in


def _sigma_b2(parameters: Sequence[Parameter]) -> float:
    return sum(bias.variance or 0.0 for bias in parameters[1:])
