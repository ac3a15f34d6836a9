"""What PyTorch's default amounts to, layer by layer, and how it compares with Xavier and He."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from winit_cli.explain.layers import Layer
from winit_cli.explain.parameters import Parameter
from winit_cli.theory.meanfield import q_star


def default_facts(layer: Layer, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Numbers and sentences about pytorch_default for one layer."""
    if layer.kind == "embedding":
        return {"sentences": ["an embedding's default is N(0, 1), whatever its size: nothing divides by a fan"]}
    bound = parameters[0].bound
    assert bound is not None
    if layer.is_recurrent:
        return {"bound": bound, "sentences": [_recurrent(layer, bound)]}
    return _feedforward(parameters, bound)


def _recurrent(layer: Layer, bound: float) -> str:
    return (
        f"every weight and both biases are U(±1/sqrt(hidden)) = U(±{bound:.4g}), input weights too, whatever their "
        f"fan_in: std {bound / math.sqrt(3):.4g} = 1 / sqrt(3 · {layer.outputs})"
    )


def _feedforward(parameters: Sequence[Parameter], bound: float) -> dict[str, Any]:
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
        "through relu layers without biases the mean square of pre-activations falls to 1/6 in every layer",
    ]
    if bias.bound:
        sentences += [
            f"biases are random too, U(±1/sqrt(fan_in)) = U(±{bound:.4g}): with them the mean square falls to "
            f"{floor:.2g} / fan_in and no further, and what is left then comes from the biases, not from the input"
        ]
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
