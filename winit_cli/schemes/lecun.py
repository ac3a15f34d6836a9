"""Unit gain on fan_in, W ~ 1 / fan_in: for linear layers, and what selu is made for."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator, Tensor
from torch.nn import init

from winit_cli.schemes.row import Scheme
from winit_cli.schemes.variance import scaled
from winit_cli.theory.moments import Moments, fans

LECUN = "LeCun, Bottou, Orr & Müller 1998, Efficient BackProp"


def lecun_uniform(tensor: Tensor, generator: Generator) -> None:
    init.kaiming_uniform_(tensor, nonlinearity="linear", generator=generator)


def lecun_normal(tensor: Tensor, generator: Generator) -> None:
    init.kaiming_normal_(tensor, nonlinearity="linear", generator=generator)


def _lecun(distribution: str, shape: Sequence[int]) -> Moments:
    return scaled(1.0, fans(shape)[0], distribution)


_KEEPS = (
    "the mean square of pre-activations through linear layers (fan_in); through selu mean 0 and variance 1 of "
    "activations, to which they return from nearby (Klambauer et al. 2017)"
)
_PITFALLS = (
    "The variance that selu needs (Klambauer et al. 2017), but too small for deep relu nets.",
    "In Keras, JAX and timm lecun_normal is a normal cut at 2 std: variance_scaling here.",
)

SCHEMES = (
    Scheme(
        name="lecun_uniform",
        family="variance scaling",
        summary="unit gain on fan_in, uniform",
        formula="W ~ U(-b, b), b = sqrt(3 / fan_in)",
        keeps=_KEEPS,
        paper=LECUN,
        torch_call="nn.init.kaiming_uniform_(w, nonlinearity='linear')",
        fill=lecun_uniform,
        moments=lambda shape: _lecun("uniform", shape),
        dims=(2, 99),
        pitfalls=_PITFALLS[:1],
    ),
    Scheme(
        name="lecun_normal",
        family="variance scaling",
        summary="unit gain on fan_in, normal",
        formula="W ~ N(0, std²), std = sqrt(1 / fan_in)",
        keeps=_KEEPS,
        paper=LECUN,
        torch_call="nn.init.kaiming_normal_(w, nonlinearity='linear')",
        fill=lecun_normal,
        moments=lambda shape: _lecun("normal", shape),
        dims=(2, 99),
        aliases=("lecun",),
        pitfalls=_PITFALLS,
    ),
)
