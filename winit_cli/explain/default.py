"""What PyTorch's default amounts to, layer by layer, and how it compares with Xavier and He."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from winit_cli.explain.layers import Layer
from winit_cli.explain.parameters import Parameter
from winit_cli.explain.spelled import spelled
from winit_cli.theory.meanfield import q_star
from winit_cli.theory.phase import mean_field
from winit_cli.theory.scale_free import SLOPES, half_mean_square


def default_facts(layer: Layer, parameters: Sequence[Parameter], activation: str) -> dict[str, Any]:
    """Numbers and sentences about pytorch_default for one layer, with an activation behind each like it."""
    if layer.kind == "embedding":
        return {"sentences": ["an embedding's default is N(0, 1), whatever its size: nothing divides by a fan"]}
    bound = parameters[0].bound
    assert bound is not None
    if layer.is_recurrent:
        return {"bound": bound, "sentences": [_recurrent(layer, bound)]}
    fan_in = parameters[0].fan_in
    assert fan_in
    square_fan = fan_in * layer.square(activation).sizes[0] // layer.sizes[0]
    return _feedforward(parameters, bound, activation, square_fan)


def _recurrent(layer: Layer, bound: float) -> str:
    return (
        f"every weight and both biases are U(±1/sqrt(hidden)) = U(±{bound:.4g}), input weights too, whatever their "
        f"fan_in: std {bound / math.sqrt(3):.4g} = 1 / sqrt(3 · {layer.outputs})"
    )


def _feedforward(parameters: Sequence[Parameter], bound: float, activation: str, square_fan: int) -> dict[str, Any]:
    weight, bias = parameters
    assert weight.fan_in and weight.fan_out and weight.variance is not None
    of_xavier = weight.variance * (weight.fan_in + weight.fan_out) / 2
    of_he = weight.variance * weight.fan_in / 2
    floor = q_star("relu", 1 / 3, 1 / 3)
    square = "" if weight.fan_in == weight.fan_out else " (a third on a square layer)"
    sentences = [
        f"a=sqrt(5) stands for no leaky relu: its gain is sqrt(2 / (1 + 5)) = sqrt(1/3), which makes kaiming_uniform_ "
        f"U(±1/sqrt(fan_in)) = U(±{bound:.4g}), std 1 / sqrt(3 fan_in) = {weight.std:.4g}",
        f"its variance is {of_xavier:.3g} of Xavier's{square} and {of_he:.3g} of He's",
        f"through {activation} layers without biases the mean square of pre-activations {_alone(activation)}",
    ]
    if bias.bound:
        end = _with_biases(activation, square_fan)
        sentences += [f"biases are random too, U(±1/sqrt(fan_in)) = U(±{bound:.4g}): with them the mean square {end}"]
    return {
        "a": math.sqrt(5),
        "gain": weight.gain,
        "bound": bound,
        "bias_bound": bias.bound,
        "variance_of_xavier": of_xavier,
        "variance_of_he": of_he,
        "relu_factor_without_bias": of_he,
        "relu_floor_times_fan_in": floor,
        "sentences": sentences,
    }


def _alone(activation: str) -> str:
    """What n Var(w) = 1/3 does to a mean square."""
    if activation in SLOPES:
        return f"falls to {spelled(half_mean_square(SLOPES[activation]) / 3)} in every layer"
    found = mean_field(activation, 1 / 3, 0.0)
    if found.q_star == 0 and found.chi_1 is not None:
        return f"falls to 0, {found.chi_1:.3g}x in every layer once it is small"
    return "grows without end" if found.q_star is None else f"settles at {found.q_star:.3g}"


def _with_biases(activation: str, fan_in: int) -> str:
    """The same with Var(b) = 1 / (3 fan_in)."""
    from_biases = "and no further, and what is left then comes from the biases, not from the input"
    if activation in SLOPES:
        return f"falls to {q_star(activation, 1 / 3, 1 / 3):.2g} / fan_in {from_biases}"
    alone, found = (q_star(activation, 1 / 3, variance) for variance in (0.0, 1 / (3 * fan_in)))
    if found is None:
        return "grows without end too"
    in_layers = f"{found:.4g} in layers of {fan_in} inputs"
    return f"falls to {in_layers} {from_biases}" if alone == 0 else f"settles at {in_layers}"
