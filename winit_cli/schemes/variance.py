"""Variance scaling: zero mean, and a width set by the layer's fans, W ~ gain² / fan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Generator, Tensor
from torch.nn import init

from winit_cli.schemes.row import Gain, Scheme
from winit_cli.tables import Number
from winit_cli.theory.moments import Moments, fans

Mode = Literal["fan_in", "fan_out"]
Nonlinearity = Literal[
    "leaky_relu",
    "relu",
    "tanh",
    "sigmoid",
    "selu",
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "auto",
]

GLOROT = "Glorot & Bengio 2010, Understanding the difficulty of training deep feedforward neural networks"
HE = "He, Zhang, Ren & Sun 2015, Delving deep into rectifiers (arXiv:1502.01852)"


def xavier_uniform(tensor: Tensor, generator: Generator, *, gain: Gain = 1.0) -> None:
    init.xavier_uniform_(tensor, float(gain), generator=generator)


def xavier_normal(tensor: Tensor, generator: Generator, *, gain: Gain = 1.0) -> None:
    init.xavier_normal_(tensor, float(gain), generator=generator)


def kaiming_uniform(
    tensor: Tensor,
    generator: Generator,
    *,
    a: Number = 0.0,
    mode: Mode = "fan_in",
    nonlinearity: Nonlinearity = "leaky_relu",
) -> None:
    init.kaiming_uniform_(tensor, a, mode, nonlinearity, generator=generator)  # type: ignore[arg-type]


def kaiming_normal(
    tensor: Tensor,
    generator: Generator,
    *,
    a: Number = 0.0,
    mode: Mode = "fan_in",
    nonlinearity: Nonlinearity = "leaky_relu",
) -> None:
    init.kaiming_normal_(tensor, a, mode, nonlinearity, generator=generator)  # type: ignore[arg-type]


def scaled(gain: float, fan: float, distribution: str) -> Moments:
    """std = gain / sqrt(fan); a uniform distribution reaches sqrt(3) times as far."""
    std = gain / math.sqrt(fan)
    bound = math.sqrt(3) * abs(std) if distribution == "uniform" else None
    return Moments(std=abs(std), gain=gain, bound=bound, drawn=True)


def _xavier(distribution: str, shape: Sequence[int], gain: float) -> Moments:
    fan_in, fan_out = fans(shape)
    return scaled(gain, (fan_in + fan_out) / 2, distribution)


def _kaiming(distribution: str, shape: Sequence[int], a: float, mode: Mode, nonlinearity: str) -> Moments:
    fan_in, fan_out = fans(shape)
    gain = init.calculate_gain(nonlinearity, a)  # type: ignore[arg-type]
    return scaled(gain, fan_in if mode == "fan_in" else fan_out, distribution)


def _not_negative(options: Mapping[str, Any]) -> str | None:
    gain = options["gain"]
    return None if isinstance(gain, str) or gain >= 0 else f"gain must not be negative, got {gain}"


_XAVIER_KEEPS = (
    "as a compromise, the mean square of the signal (which needs fan_in) and of gradients (fan_out), both exactly in "
    "square layers, through activations that are linear around 0 with slope 1, like tanh, while signals are small"
)
_KAIMING_KEEPS = (
    "the mean square of pre-activations from layer to layer, E[z_l²] = E[z_{l-1}²], through relu; with mode=fan_out "
    "the mean square of gradients on their way back instead (in square layers both)"
)
_XAVIER_PITFALLS = (
    "Derived for activations that are linear around 0; with relu half the signal is lost in every layer "
    "unless gain: relu (or auto) makes up for it.",
)
_KAIMING_PITFALLS = (
    "torch's default is leaky_relu with a=0, which is relu: the gain is sqrt(2) whatever the activation is, "
    "and the output layer gets it too.",
    "a=sqrt(5) in torch's own Linear means gain sqrt(1/3), that is U(±1/sqrt(fan_in)), and not a leaky relu.",
)
SCHEMES = (
    Scheme(
        name="xavier_uniform",
        family="variance scaling",
        summary="keeps forward and backward signal, for tanh-like activations",
        formula="W ~ U(-b, b), b = gain · sqrt(6 / (fan_in + fan_out))",
        keeps=_XAVIER_KEEPS,
        paper=GLOROT,
        torch_call="nn.init.xavier_uniform_(w, gain={gain})",
        fill=xavier_uniform,
        moments=lambda shape, gain: _xavier("uniform", shape, gain),
        dims=(2, 99),
        aliases=("glorot_uniform",),
        check=_not_negative,
        pitfalls=_XAVIER_PITFALLS,
    ),
    Scheme(
        name="xavier_normal",
        family="variance scaling",
        summary="keeps forward and backward signal, for tanh-like activations",
        formula="W ~ N(0, std²), std = gain · sqrt(2 / (fan_in + fan_out))",
        keeps=_XAVIER_KEEPS,
        paper=GLOROT,
        torch_call="nn.init.xavier_normal_(w, gain={gain})",
        fill=xavier_normal,
        moments=lambda shape, gain: _xavier("normal", shape, gain),
        dims=(2, 99),
        aliases=("xavier", "glorot", "glorot_normal"),
        check=_not_negative,
        pitfalls=_XAVIER_PITFALLS,
    ),
    Scheme(
        name="kaiming_uniform",
        family="variance scaling",
        summary="keeps the signal through relu layers",
        formula="W ~ U(-b, b), b = gain · sqrt(3 / fan), gain = sqrt(2 / (1 + a²)) for leaky_relu",
        keeps=_KAIMING_KEEPS,
        paper=HE,
        torch_call="nn.init.kaiming_uniform_(w, a={a}, mode='{mode}', nonlinearity='{nonlinearity}')",
        fill=kaiming_uniform,
        moments=lambda shape, a, mode, nonlinearity: _kaiming("uniform", shape, a, mode, nonlinearity),
        dims=(2, 99),
        aliases=("he_uniform",),
        pitfalls=_KAIMING_PITFALLS,
    ),
    Scheme(
        name="kaiming_normal",
        family="variance scaling",
        summary="keeps the signal through relu layers",
        formula="W ~ N(0, std²), std = gain / sqrt(fan), gain = sqrt(2 / (1 + a²)) for leaky_relu",
        keeps=_KAIMING_KEEPS,
        paper=HE,
        torch_call="nn.init.kaiming_normal_(w, a={a}, mode='{mode}', nonlinearity='{nonlinearity}')",
        fill=kaiming_normal,
        moments=lambda shape, a, mode, nonlinearity: _kaiming("normal", shape, a, mode, nonlinearity),
        dims=(2, 99),
        aliases=("kaiming", "he", "he_normal"),
        pitfalls=_KAIMING_PITFALLS,
    ),
)
