"""Schemes that shape the whole matrix: orthogonal rows, identities."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn import init

from winit_cli.schemes.row import Gain, Scheme
from winit_cli.theory.moments import Moments, ones_among_zeros


def orthogonal(tensor: Tensor, generator: Generator, *, gain: Gain = 1.0) -> None:
    if tensor.dtype in (torch.bfloat16, torch.float16):  # which LAPACK does not know
        wide = torch.empty_like(tensor, dtype=torch.float32)
        tensor.copy_(init.orthogonal_(wide, float(gain), generator=generator))
    else:
        init.orthogonal_(tensor, float(gain), generator=generator)


def eye(tensor: Tensor, generator: Generator) -> None:
    init.eye_(tensor)


def dirac(tensor: Tensor, generator: Generator) -> None:
    init.dirac_(tensor)


def _orthogonal_moments(shape: Sequence[int], gain: float) -> Moments:
    """Orthonormal rows or columns: the squares of all entries sum to min(rows, columns)."""
    rows, columns = shape[0], math.prod(shape[1:])
    return Moments(std=abs(gain) / math.sqrt(max(rows, columns)), gain=gain)


def _identity_moments(shape: Sequence[int]) -> Moments:
    return ones_among_zeros(min(shape[0], shape[1]), math.prod(shape))


SCHEMES = (
    Scheme(
        name="orthogonal",
        family="structured",
        summary="a random (semi-)orthogonal matrix: all singular values equal the gain",
        formula="WᵀW = gain² · I (or WWᵀ), kernels flattened; std = gain / sqrt(max(rows, columns))",
        keeps="norms and angles through linear layers, times the gain: |Wx| = gain · |x| for every x if there are at "
        "least as many outputs as inputs, and the same for gradients on their way back if there are at most as many; "
        "a norm that spreads over more units is a smaller mean square",
        paper="Saxe, McClelland & Ganguli 2014, Exact solutions to the nonlinear dynamics of learning in deep "
        "linear neural networks (arXiv:1312.6120)",
        torch_call="nn.init.orthogonal_(w, gain={gain})",
        fill=orthogonal,
        moments=_orthogonal_moments,
        dims=(2, 99),
        pitfalls=(
            "Not orthogonal as a convolution: the kernel is flattened, so only the matrix of weights is.",
            "Packed recurrent weights are filled gate by gate here; one call on the packed matrix would not do.",
        ),
    ),
    Scheme(
        name="eye",
        family="structured",
        summary="the identity: inputs pass through unchanged",
        formula="W[i, j] = 1 if i = j else 0",
        keeps="the signal itself through linear layers, unit by unit, as far as there are units on both sides",
        paper="torch.nn.init; Le, Jaitly & Hinton 2015 (arXiv:1504.00941) for recurrent weights",
        torch_call="nn.init.eye_(w)",
        fill=eye,
        moments=_identity_moments,
        dims=(2, 2),
        aliases=("identity",),
        pitfalls=("Where a layer has more units than inputs, the extra units are 0 and receive no gradient.",),
    ),
    Scheme(
        name="dirac",
        family="structured",
        summary="the identity of convolutions: each channel passes through",
        formula="W[i, i, centre] = 1, else 0; per group",
        keeps="the signal itself through linear layers, channel by channel, as far as there are channels on both sides",
        paper="torch.nn.init; Zagoruyko & Komodakis 2017, DiracNets (arXiv:1706.00388)",
        torch_call="nn.init.dirac_(w)",
        fill=dirac,
        moments=_identity_moments,
        dims=(3, 5),
        pitfalls=(
            "Only as many channels as the layer has inputs are filled; the others are 0.",
            "An even kernel has no centre: torch takes the place right of the middle, so that under same padding the "
            "picture moves by a pixel in every layer.",
        ),
    ),
)
