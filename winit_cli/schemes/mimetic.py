"""Attention that begins as trained ones look: queries near their keys, outputs near the opposite of what they read.

W width, H heads, K = W / H features of a head, T positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from winit_cli.schemes.recipe import Use
from winit_cli.schemes.row import Scheme
from winit_cli.schemes.slots import Slot
from winit_cli.tables import Number
from winit_cli.theory.moments import Moments

PARTNERS = {"query": "query", "key": "query", "value": "value", "out": "value"}  # whose draw a layer shares
SLOWEST = 10_000.0  # of the waves, in positions per radian


def mimetic(slot: Slot, *, alpha1: Number = 0.7, beta1: Number = 0.7, alpha2: Number = 0.4, beta2: Number = 0.4) -> Use:
    """The weights of an attention two by two, each pair from one draw; positions are waves."""
    layer = slot.layer.rpartition(".")[2]
    if slot.kind == "embedding" and layer == "positions":
        return Use("mimetic", {"side": "waves", "heads": 0, "alpha": 0.0, "beta": 0.0})
    if slot.branch is None or not slot.branch.heads or layer not in PARTNERS:
        return Use("pytorch_default")
    if slot.kind == "bias":
        return Use("zeros")
    if slot.shape[0] != slot.shape[1]:
        return Use("pytorch_default")
    if PARTNERS[layer] == "query":
        return Use("mimetic", {"side": layer, "heads": slot.branch.heads, "alpha": alpha1, "beta": beta1})
    return Use("mimetic", {"side": layer, "heads": 1, "alpha": alpha2, "beta": -beta2})


def drawn_as(slot: Slot) -> str:
    """Queries and keys see the same numbers, and so do values and outputs."""
    owner, _, layer = slot.layer.rpartition(".")
    return f"{owner}.{PARTNERS[layer]}" if layer in PARTNERS else slot.name


def fill_mimetic(tensor: Tensor, generator: Generator, *, side: str, heads: int, alpha: float, beta: float) -> None:
    """One side of ``alpha Z + beta I = left rightᵀ``, by as many singular values as a head has features."""
    if side == "waves":
        tensor.copy_(waves(tensor.shape))
        return
    rows = tensor.T if side == "out" else tensor  # (H K, W)
    for part in rows.chunk(heads):
        left, right = halves(part.shape, generator, alpha, beta)
        part.copy_(left if side in ("query", "value") else right)


def halves(shape: Sequence[int], generator: Generator, alpha: float, beta: float) -> tuple[Tensor, Tensor]:
    """Matrices (K, W) whose product ``leftᵀ right`` is the best approximation of rank K to ``alpha Z + beta I``, Z with
    entries N(0, 1 / W)."""
    features, width = shape
    noise = torch.randn(width, width, generator=generator, dtype=torch.float64) / width**0.5
    u, values, vh = torch.linalg.svd(alpha * noise + beta * torch.eye(width, dtype=torch.float64))
    roots = values[:features, None].sqrt()
    return roots * u.T[:features], roots * vh[:features]


def waves(shape: Sequence[int]) -> Tensor:
    """Sines and cosines of positions, of wavelengths from 2π to 10,000 times that: (T, W)."""
    positions, width = shape
    columns = torch.arange(width, dtype=torch.float64)
    angles = torch.arange(positions, dtype=torch.float64)[:, None] / SLOWEST ** (2 * (columns // 2) / width)
    return torch.where(columns % 2 == 0, angles.sin(), angles.cos())


def _moments(shape: Sequence[int], side: str, heads: int, alpha: float, beta: float) -> Moments:
    if side != "waves":
        return Moments(std=None)
    values = waves(shape)
    return Moments(std=values.std(correction=0).item(), mean=values.mean().item(), bound=1.0)


SCHEMES = (
    Scheme(
        name="mimetic",
        family="transformer",
        summary="attention looks at tokens like its own and takes a part of them away, as trained ones do",
        formula="W_query W_keyᵀ ≈ alpha1 Z + beta1 I for every head, W_value W_out = alpha2 Z - beta2 I, Z ~ N(0, "
        "1 / width), both by singular values; positions are waves; biases of the attention 0, all else pytorch_default",
        keeps="nothing by design: it copies the weights of transformers that have been trained",
        paper="Trockman & Kolter 2023, Mimetic initialization of self-attention layers (arXiv:2305.09828)",
        torch_call="u, s, vh = torch.linalg.svd(alpha * z + beta * torch.eye(width))",
        choose=mimetic,
        drawn_as=drawn_as,
        own_biases=True,
        fill=fill_mimetic,
        moments=_moments,
        dims=(2, 2),
        fills="attention in residual branches with query, key, value and out layers as wide as their inputs (model: "
        "transformer)",
        pitfalls=(
            "Found on images; in language models the paper sees the other sign, which is beta1 and beta2 below 0.",
            "A head has W / H features, so that it can only come near the identity: the more heads, the less.",
            "The waves are those of Vaswani et al. 2017 along the order of the tokens, for patches of images too.",
        ),
    ),
)
