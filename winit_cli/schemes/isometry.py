"""Schemes whose whole network keeps lengths at the start: delta-orthogonal, ZerO, looks-linear.

Checked against jax.nn.initializers.delta_orthogonal (as TensorFlow's ConvolutionDeltaOrthogonal), and for ZerO against
Algorithms 1 and 2 of the paper and the authors' code (github.com/jiaweizzhao/ZerO-initialization).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from winit_cli.schemes.recipe import Use
from winit_cli.schemes.row import Activation, Gain, Scheme
from winit_cli.schemes.slots import Slot
from winit_cli.schemes.structured import orthogonal
from winit_cli.theory.moments import Moments, ones_among_zeros

Constant = Literal["code", "paper"]


def delta_orthogonal(tensor: Tensor, generator: Generator, *, gain: Gain = 1.0) -> None:
    matrix = tensor.new_empty(tensor.shape[:2])
    orthogonal(matrix, generator, gain=gain)
    _write_centre(tensor, matrix)


def zero(tensor: Tensor, generator: Generator, *, c: Constant = "code") -> None:
    """c I* H_m I*, a corner of a Hadamard matrix, where there are more outputs than inputs, else the identity."""
    rows, columns = tensor.shape[:2]
    matrix = torch.eye(rows, columns, dtype=tensor.dtype)
    if rows > columns:
        matrix = (_hadamard(rows, columns).double() * _constant(rows, c)).to(tensor.dtype)
    _write_centre(tensor, matrix)


def _write_centre(tensor: Tensor, matrix: Tensor) -> None:
    """A matrix as weight, or in kernels that are 0 elsewhere: where a pixel meets itself under same padding."""
    tensor.zero_()
    middle = tensor
    for size in tensor.shape[2:]:
        middle = middle.select(2, (size - 1) // 2)
    middle.copy_(matrix)


def _constant(rows: int, c: Constant) -> float:
    """2^(-m/2) as in the authors' code, or 2^(-(m-1)/2) as printed in the paper; 2^m is the least that holds rows."""
    m = (rows - 1).bit_length()
    return math.pow(2, -(m if c == "code" else m - 1) / 2)


def _hadamard(rows: int, columns: int) -> Tensor:
    """The corner of Sylvester's matrix: -1 to the number of bits that the positions have in common."""
    common = torch.arange(rows)[:, None] & torch.arange(columns)[None]
    sign = torch.ones(rows, columns)
    for bit in range(rows.bit_length()):
        sign *= 1.0 - 2.0 * ((common >> bit) & 1)
    return sign


def looks_linear(slot: Slot, *, activation: Activation = "auto") -> Use:
    """The first layer is orthogonal; every other one sees relu(z) and relu(-z) as z again."""
    if slot.kind == "bias":
        return Use("zeros")
    if "first" in slot.places:
        return Use("orthogonal")
    return Use("looks_linear")


def fill_looks_linear(tensor: Tensor, generator: Generator) -> None:
    """[V, -V] with an orthogonal V."""
    one, other = tensor.chunk(2, dim=1)
    half = torch.empty_like(one, memory_format=torch.contiguous_format)
    orthogonal(half, generator)
    one.copy_(half)
    other.copy_(-half)


def _zero_code(c: Constant) -> str:
    """Sylvester's matrix by doubling."""
    power = "m" if c == "code" else "(m - 1)"
    return f"""\
outputs, inputs = w.shape[:2]
matrix = torch.eye(outputs, inputs)
if outputs > inputs:
    m = (outputs - 1).bit_length()
    h = torch.ones(1, 1)
    for _ in range(m):
        h = torch.cat([torch.cat([h, h], 1), torch.cat([h, -h], 1)])
    matrix = 2 ** (-{power} / 2) * h[:outputs, :inputs]
centre = [(n - 1) // 2 for n in w.shape[2:]]
w.zero_()
w[:, :, *centre] = matrix"""


def _needs_crelu(options: Mapping[str, Any]) -> str | None:
    activation = options["activation"]
    return None if activation == "crelu" else f"it is for nets with activation: crelu, not '{activation}'"


def _delta_orthogonal(shape: Sequence[int], gain: float) -> Moments:
    return Moments(std=abs(gain) * math.sqrt(min(shape[:2]) / math.prod(shape)), gain=gain)


def _zero(shape: Sequence[int], c: Constant) -> Moments:
    rows, columns = shape[:2]
    size = math.prod(shape)
    if rows <= columns:
        return ones_among_zeros(rows, size)
    inside, sign, value = rows * columns / size, float(_hadamard(rows, columns).double().mean()), _constant(rows, c)
    return Moments(std=value * math.sqrt(inside * (1 - inside * sign**2)), mean=inside * sign * value, bound=value)


def _looks_linear(shape: Sequence[int]) -> Moments:
    return Moments(std=1 / math.sqrt(max(shape[0], math.prod(shape[1:]) // 2)), gain=1.0)


SCHEMES = (
    Scheme(
        name="delta_orthogonal",
        family="structured",
        summary="an orthogonal matrix in the middle of the kernel: the convolution keeps lengths",
        formula="W[:, :, centre] = gain · Q, QᵀQ = I (or QQᵀ), all else 0",
        keeps="norms and angles through linear convolutions with circular padding, times the gain, from channels to as "
        "many or more; gradients on their way back in layers of equal width",
        paper="Xiao, Bahri, Sohl-Dickstein, Schoenholz & Pennington 2018, Dynamical isometry and a mean field theory "
        "of CNNs (arXiv:1806.05393)",
        torch_call="centre = [(n - 1) // 2 for n in w.shape[2:]]; w.zero_(); nn.init.orthogonal_(w[:, :, *centre], "
        "gain={gain})",
        fill=delta_orthogonal,
        moments=_delta_orthogonal,
        dims=(3, 5),
        pitfalls=(
            "Keeps lengths where a layer has at least as many outputs as inputs, and between activations only: with "
            "tanh take gain: auto.",
            "At the start a pixel sees itself alone; pooling is all that mixes neighbours.",
        ),
    ),
    Scheme(
        name="zero",
        family="structured",
        summary="ZerO: identities and Hadamard matrices, nothing random",
        formula="outputs ≤ inputs: W = I; else W = c H, the corner of a Hadamard matrix of order 2^m, m = ceil(log2 "
        "outputs), c = 2^(-m/2); kernels in the middle",
        keeps="the signal itself through layers of equal width, unit by unit; where a layer is wider than its inputs "
        "all of them, spread over its units",
        paper="Zhao, Schäfer & Anandkumar 2021, ZerO initialization: initializing neural networks with only zeros and "
        "ones (arXiv:2110.12661)",
        torch_call="nn.init.eye_(w), or scipy.linalg.hadamard(2 ** m)[:outputs, :inputs] / 2 ** (m / 2)",
        code=_zero_code,
        fill=zero,
        moments=_zero,
        dims=(2, 5),
        pitfalls=(
            "Not to be taken for zeros.",
            "Every seed starts alike: only the order of the data differs between them.",
            "A narrow first layer takes the first inputs and drops the rest: of an image, the border.",
            "The paper prints c = 2^(-(m-1)/2) (c: paper), sqrt(2) times what the authors' code has: a layer of 2^m "
            "outputs then makes signals sqrt(2) times as long, where c: code keeps their length.",
        ),
    ),
    Scheme(
        name="looks_linear",
        family="structured",
        summary="for crelu: the network computes an orthogonal linear map at the start",
        formula="W = [V, -V] with orthogonal V, as relu(z) - relu(-z) = z; the first layer W = V",
        keeps="norms and angles of signals and gradients through crelu, from layer to layer of equal width: the net is "
        "an orthogonal map",
        paper="Balduzzi, Frean, Leary, Lewis, Ma & McWilliams 2017, The shattered gradients problem (arXiv:1702.08591)",
        torch_call="nn.init.orthogonal_(v); w.copy_(torch.cat([v, -v], 1))",
        code=lambda: "v = nn.init.orthogonal_(torch.empty_like(w.chunk(2, 1)[0]))\nw.copy_(torch.cat([v, -v], 1))",
        choose=looks_linear,
        own_biases=True,
        fill=fill_looks_linear,
        moments=_looks_linear,
        dims=(2, 99),
        fits=lambda shape: shape[1] % 2 == 0,
        check=_needs_crelu,
        fills="weights of layers after a crelu, which have an even number of inputs",
        only=("linear",),
        pitfalls=("Needs activation: crelu, which doubles the inputs of the next layer (model: mlp).",),
    ),
)
