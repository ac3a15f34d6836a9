"""Schemes for transformers: what a weight gets depends on the branch it lies in, and on what it does there.

N layers, each with two residual branches: an attention, and an MLP. Checked against the authors' code: openai/gpt-2
(src/model.py) and nanoGPT, microsoft/torchscale (architecture/encoder.py), layer6ai-labs/T-Fixup
(fairseq/modules/transformer_layer.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Generator, Tensor
from torch.nn import init

from winit_cli.schemes.recipe import Use
from winit_cli.schemes.row import Scheme
from winit_cli.schemes.slots import Slot
from winit_cli.tables import PositiveNumber
from winit_cli.theory.moments import Moments, fans

PACKED = "in_proj_weight"  # torch's attention has query, key and value in one matrix
LOOKING = ("query", "key")  # layers that decide where an attention looks, and not what it gives on
NEAR = 1e-6  # in proportion, of a multiplier that is meant


def gpt2(slot: Slot, *, std: PositiveNumber = 0.02) -> Use:
    """The last layer of every branch is scaled down by the number of branches."""
    if slot.kind == "bias":
        return Use("zeros")
    if slot.branch is None or not slot.branch.last:
        return Use("normal", {"std": std})
    return Use("gpt2", {"std": std / math.sqrt(slot.branches)})


def fill_normal(tensor: Tensor, generator: Generator, *, std: float) -> None:
    init.normal_(tensor, 0.0, std, generator=generator)


def deepnorm(slot: Slot) -> Use:
    """All that an attention gives on, and MLPs, by (8N)^(-1/4), in blocks whose skip is multiplied by (2N)^(1/4)."""
    if slot.kind == "bias":
        return Use("zeros")
    if slot.kind == "embedding":
        return Use("normal", {"std": slot.shape[1] ** -0.5})
    if slot.branch is None or not math.isclose(slot.branch.skip, slot.branches**0.25, rel_tol=NEAR):
        return Use("xavier_normal")
    return _in_branch(slot, "deepnorm", "xavier_normal", (4 * slot.branches) ** -0.25)


def tfixup(slot: Slot) -> Use:
    """The same weights by 0.67 N^(-1/4), and what embeds inputs by (9N)^(-1/4)."""
    if slot.kind == "bias":
        return Use("zeros")
    layers = max(1.0, slot.branches / 2)
    embedded = (9 * layers) ** -0.25
    if slot.kind == "embedding":
        return Use("normal", {"std": slot.shape[1] ** -0.5 * embedded})
    if slot.branch is None:
        return Use("xavier_uniform", {"gain": 1.0 if "head" in slot.places else embedded})
    return _in_branch(slot, "tfixup", "xavier_uniform", 0.67 * layers**-0.25)


def _in_branch(slot: Slot, name: str, plain: str, gain: float) -> Use:
    """Xavier with a gain for all but queries and keys; by the scheme itself where an attention is."""
    assert slot.branch is not None
    if slot.layer.rpartition(".")[2] in LOOKING or slot.local in ("q_proj_weight", "k_proj_weight"):
        return Use(plain)
    if not slot.branch.heads:
        return Use(plain, {"gain": gain})
    if slot.local == PACKED:
        return Use(name, {"gains": (1.0, 1.0, gain), "fan": "torch"})
    return Use(name, {"gains": (gain,)})


def _filling(fill: Callable[..., Any]) -> Callable[..., Any]:
    """A function that fills equal parts of a tensor, each with its gain."""

    def parts(tensor: Tensor, generator: Generator, *, gains: Sequence[float]) -> None:
        for part, gain in zip(tensor.chunk(len(gains)), gains, strict=True):
            fill(part, gain, generator=generator)

    return parts


def _coding(call: str) -> Callable[..., str]:
    """The same as code that calls torch."""

    def code(gains: Sequence[float]) -> str:
        if len(gains) == 1:
            return f"{call}(w, gain={gains[0]})"
        return f"for part, gain in zip(w.chunk({len(gains)}), {tuple(gains)}):\n    {call}(part, gain=gain)"

    return code


def _normal(shape: Sequence[int], gains: Sequence[float]) -> Moments:
    first, *rest = shape
    of_one = math.sqrt(2 / sum(fans((first // len(gains), *rest))))
    std, is_one = of_one * math.sqrt(sum(gain**2 for gain in gains) / len(gains)), len(gains) == 1
    return Moments(std=std, gain=gains[0] if is_one else None, drawn=is_one)


def _uniform(shape: Sequence[int], gains: Sequence[float]) -> Moments:
    largest = _normal((shape[0] // len(gains), *shape[1:]), (max(gains),)).std
    assert largest is not None
    return replace(_normal(shape, gains), bound=math.sqrt(3) * largest)


BIASES = "Derived for weights alone: what one update of all biases changes still grows with the number of layers."

SCHEMES = (
    Scheme(
        name="gpt2",
        family="transformer",
        summary="one narrow normal distribution; the last layers of the L residual branches by 1 / sqrt(L)",
        formula="W ~ N(0, std²), last layer of each of L branches W ~ N(0, std² / L), b = 0; std = 0.02",
        keeps="what all branches together add to the signal, at any depth; not the size of signals inside of a branch",
        paper="Radford, Wu, Child, Luan, Amodei & Sutskever 2019, Language models are unsupervised multitask learners",
        torch_call="nn.init.normal_(w, std=std / L ** 0.5)",
        choose=gpt2,
        own_biases=True,
        fill=fill_normal,
        code=lambda std: f"nn.init.normal_(w, std={std})",
        moments=lambda shape, std: Moments(std=std, drawn=True),
        fills="layers in residual branches (model: transformer, resnet, resmlp)",
        pitfalls=(
            "0.02 is near 1 / sqrt(width) at the widths of GPT-2, 768 to 1600; at width 64 that is 0.125, and with "
            "0.02 branches add next to nothing at the start.",
            "The released code of GPT-2 draws positions with std 0.01 and scales no branches, which the paper does. "
            "Here branches are scaled, and positions have the std of all else, as in nanoGPT.",
        ),
    ),
    Scheme(
        name="deepnorm",
        family="transformer",
        summary="transformers with norm: post of any depth: branches small, what goes around them multiplied",
        formula="LN(α x + branch(x)), α = (2N)^(1/4); value, output and MLP weights xavier_normal with gain β = "
        "(8N)^(-1/4), all else with gain 1; embeddings N(0, 1 / width); b = 0",
        keeps="how much one update changes the output, at any number N of layers",
        paper="Wang, Ma, Dong, Huang, Zhang & Wei 2022, DeepNet: scaling transformers to 1,000 layers "
        "(arXiv:2203.00555)",
        torch_call="nn.init.xavier_normal_(w, gain=(8 * N) ** -0.25)",
        choose=deepnorm,
        own_biases=True,
        fill=_filling(init.xavier_normal_),
        code=_coding("nn.init.xavier_normal_"),
        moments=_normal,
        dims=(2, 99),
        fills="attention in residual branches with norm: post and skip_scale: deepnorm (model: transformer)",
        pitfalls=(
            BIASES,
            "α and β are those of an encoder alone or a decoder alone; with both, the paper has others.",
            "Blocks of your own module need the attribute skip_scale = (2N)^(1/4), by which they multiply the skip.",
        ),
    ),
    Scheme(
        name="tfixup",
        family="transformer",
        summary="transformers without norms: branches and embeddings small enough to train without a warm-up",
        formula="xavier_uniform; value, output and MLP weights times 0.67 N^(-1/4); embeddings N(0, 1 / width) times "
        "(9N)^(-1/4), and a linear stem times that; b = 0",
        keeps="how much one update of Adam changes the output, at any number N of layers, without norms and warm-up",
        paper="Huang, Pérez, Ba & Volkovs 2020, Improving transformer optimization through better initialization "
        "(ICML)",
        torch_call="nn.init.xavier_uniform_(w, gain=0.67 * N ** -0.25)",
        choose=tfixup,
        own_biases=True,
        fill=_filling(init.xavier_uniform_),
        code=_coding("nn.init.xavier_uniform_"),
        moments=_uniform,
        dims=(2, 99),
        fills="attention in residual branches (model: transformer)",
        pitfalls=(
            BIASES,
            "Made for norm: none: a norm undoes the scale of what it normalizes.",
            "In the authors' code queries and keys have gain 1 / sqrt(2), as in fairseq; in the paper, as here, 1.",
            "Derived for embeddings; a linear layer that reads patches or time steps is scaled like one here.",
        ),
    ),
)
