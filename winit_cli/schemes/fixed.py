"""Schemes that ignore the shape of the layer: constants and distributions of fixed width."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field
from torch import Generator, Tensor
from torch.nn import init

from winit_cli.rng import DrawFrom
from winit_cli.schemes.row import Scheme
from winit_cli.tables import NonNegativeNumber, Number, PositiveNumber
from winit_cli.theory import moments
from winit_cli.theory.moments import Moments

Fraction = Annotated[Number, Field(ge=0, le=1)]


def uniform(tensor: Tensor, generator: Generator, *, a: Number = 0.0, b: Number = 1.0) -> None:
    init.uniform_(tensor, a, b, generator=generator)


def normal(tensor: Tensor, generator: Generator, *, mean: Number = 0.0, std: NonNegativeNumber = 1.0) -> None:
    init.normal_(tensor, mean, std, generator=generator)


def trunc_normal(
    tensor: Tensor,
    generator: Generator,
    *,
    mean: Number = 0.0,
    std: PositiveNumber = 1.0,
    a: Number = -2.0,
    b: Number = 2.0,
) -> None:
    init.trunc_normal_(tensor, mean, std, a, b, generator=generator)


def constant(tensor: Tensor, generator: Generator, *, val: Number) -> None:
    init.constant_(tensor, val)


def zeros(tensor: Tensor, generator: Generator) -> None:
    init.zeros_(tensor)


def ones(tensor: Tensor, generator: Generator) -> None:
    init.ones_(tensor)


def sparse(tensor: Tensor, generator: Generator, *, sparsity: Fraction, std: NonNegativeNumber = 0.01) -> None:
    with DrawFrom(lambda filled: generator):  # torch draws the mask without the generator it is given
        init.sparse_(tensor, sparsity, std, generator=generator)


def _sparse_moments(shape: Sequence[int], sparsity: float, std: float) -> Moments:
    kept = 1 - math.ceil(sparsity * shape[0]) / shape[0]
    return Moments(std=std * math.sqrt(kept))


def _ordered(options: Mapping[str, Any]) -> str | None:
    return None if options["a"] < options["b"] else f"a must be below b, got a={options['a']}, b={options['b']}"


def _reachable(options: Mapping[str, Any]) -> str | None:
    mean, reach = options["mean"], 2 * options["std"]
    if options["a"] < options["b"] and not options["a"] - reach <= mean <= options["b"] + reach:
        return f"mean {mean} is more than 2 std outside [a, b] = [{options['a']}, {options['b']}]"
    return _ordered(options)


_KEEPS = "nothing: the weights do not look at the layer, so each fan changes the signal by another factor"

SCHEMES = (
    Scheme(
        name="uniform",
        family="fixed",
        summary="the same uniform distribution in every layer",
        formula="W ~ U(a, b); std = (b - a) / sqrt(12)",
        keeps=_KEEPS,
        paper="torch.nn.init",
        torch_call="nn.init.uniform_(w, a={a}, b={b})",
        fill=uniform,
        moments=lambda shape, a, b: moments.uniform(a, b),
        check=_ordered,
        pitfalls=("The bare name means U(0, 1): all weights positive, so signals grow with every layer.",),
    ),
    Scheme(
        name="normal",
        family="fixed",
        summary="the same normal distribution in every layer",
        formula="W ~ N(mean, std²)",
        keeps=_KEEPS,
        paper="torch.nn.init",
        torch_call="nn.init.normal_(w, mean={mean}, std={std})",
        fill=normal,
        moments=lambda shape, mean, std: Moments(std=std, mean=mean, drawn=True),
        pitfalls=(
            "The bare name means N(0, 1): the signal grows by about sqrt(fan_in) in every layer.",
            "A small fixed std (0.01) suits one width only; in deep nets the signal dies out.",
        ),
    ),
    Scheme(
        name="trunc_normal",
        family="fixed",
        summary="a normal distribution cut to [a, b]",
        formula="W ~ N(mean, std²) given a ≤ W ≤ b",
        keeps=_KEEPS,
        paper="torch.nn.init",
        torch_call="nn.init.trunc_normal_(w, mean={mean}, std={std}, a={a}, b={b})",
        fill=trunc_normal,
        moments=lambda shape, mean, std, a, b: moments.truncated_normal(mean, std, a, b),
        check=_reachable,
        aliases=("truncated_normal",),
        pitfalls=("a and b are absolute values in torch, not multiples of std: std=0.02 with a=-2, b=2 cuts nothing.",),
    ),
    Scheme(
        name="constant",
        family="fixed",
        summary="one value everywhere",
        formula="W = val",
        keeps="only that all units of a layer are equal, for ever",
        paper="torch.nn.init",
        torch_call="nn.init.constant_(w, val={val})",
        fill=constant,
        moments=lambda shape, val: Moments(std=0.0, mean=val),
        pitfalls=("All units of a layer stay equal for ever: the layer acts as a single unit.",),
    ),
    Scheme(
        name="zeros",
        family="fixed",
        summary="all zero: the classic mistake",
        formula="W = 0",
        keeps="nothing: what comes out of a layer is its bias, whatever goes in",
        paper="Rumelhart, Hinton & Williams 1986, Learning representations by back-propagating errors",
        torch_call="nn.init.zeros_(w)",
        fill=zeros,
        moments=lambda shape: Moments(std=0.0),
        pitfalls=(
            "Hidden activations and gradients are 0, so hidden layers never move; only the last bias learns.",
            "Harmless, even useful, for an output layer alone (rule: params head.*).",
        ),
    ),
    Scheme(
        name="ones",
        family="fixed",
        summary="all one: symmetric and exploding",
        formula="W = 1",
        keeps="only that all units of a layer are equal, for ever",
        paper="torch.nn.init",
        torch_call="nn.init.ones_(w)",
        fill=ones,
        moments=lambda shape: Moments(std=0.0, mean=1.0),
        pitfalls=("All units of a layer are equal, and the signal grows by fan_in in every layer.",),
    ),
    Scheme(
        name="sparse",
        family="fixed",
        summary="a fixed fraction of zeros in every column, the rest normal",
        formula="ceil(sparsity · rows) zeros a column, else W ~ N(0, std²)",
        keeps="the number of units that each input reaches, in layers of any width; not the size of the signal",
        paper="Martens 2010, Deep learning via Hessian-free optimization",
        torch_call="nn.init.sparse_(w, sparsity={sparsity}, std={std})",
        fill=sparse,
        moments=_sparse_moments,
        dims=(2, 2),
        pitfalls=("The default std of 0.01 is small: set std near 1 / sqrt((1 - sparsity) · fan_in).",),
    ),
)
