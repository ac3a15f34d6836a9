"""Schemes for residual networks: what they do depends on where in a branch a layer stands.

In x + branch(x), L branches, m layers in each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Generator, Tensor, nn
from torch.nn import init

from winit_cli.schemes.recipe import Use
from winit_cli.schemes.row import Gain, Scheme
from winit_cli.schemes.slots import Slot
from winit_cli.theory.moments import Moments, fans

HE_GAIN = math.sqrt(2)


def scaled_normal(tensor: Tensor, generator: Generator, *, gain: float) -> None:
    """N(0, gain² / fan_in)."""
    fan_in, _ = fans(tensor.shape)
    init.normal_(tensor, 0.0, gain / math.sqrt(fan_in), generator=generator)


def _scaled_normal(shape: Sequence[int], gain: float) -> Moments:
    return Moments(std=abs(gain) / math.sqrt(fans(shape)[0]), gain=gain, drawn=True)


def _scaled_code(gain: float) -> str:
    return f"nn.init.normal_(w, std={gain} / {{fan_in}} ** 0.5)" if gain else "nn.init.zeros_(w)"


def fixup(slot: Slot, *, gain: Gain = HE_GAIN) -> Use:
    """The last layer of every branch and the head are zero, the other layers of branches scaled down."""
    if slot.kind == "bias" or ("head" in slot.places and slot.branch is None):
        return Use("zeros")
    if slot.branch is None:
        return _plain(gain)
    factor = 0.0 if slot.branch.last else slot.branch.count ** (-1 / (2 * slot.branch.length - 2))
    return Use("fixup", {"gain": round(float(gain) * factor, 12)})


def depth_scaled(slot: Slot, *, gain: Gain = HE_GAIN) -> Use:
    """As kaiming_normal, but the last layer of every branch is scaled by 1 / sqrt(L)."""
    if slot.kind == "bias":
        return Use("zeros")
    if slot.branch is None or not slot.branch.last:
        return _plain(gain)
    return Use("depth_scaled", {"gain": round(float(gain) * slot.branch.count**-0.5, 12)})


def _plain(gain: Gain) -> Use:
    return Use("variance_scaling", {"scale": round(float(gain) ** 2, 12), "distribution": "untruncated_normal"})


def rezero(slot: Slot) -> Use:
    """The learned numbers that multiply branches are zero."""
    return Use("rezero") if slot.kind == "scale" else Use("pytorch_default")


def zero_init_residual(slot: Slot) -> Use:
    """The weights of the last norm of every branch are zero; convolutions as torchvision's ResNets have them."""
    if slot.kind == "norm" and slot.branch is not None and slot.branch.last and slot.local == "weight":
        return Use("zero_init_residual")
    if slot.kind == "conv":
        return Use("kaiming_normal", {"mode": "fan_out", "nonlinearity": "relu"})
    if slot.kind == "bias" and isinstance(slot.module, nn.modules.conv._ConvNd):
        return Use("zeros")
    return Use("pytorch_default")


def fill_zeros(tensor: Tensor, generator: Generator) -> None:
    init.zeros_(tensor)


def _zeros(shape: Sequence[int]) -> Moments:
    return Moments(std=0.0, bound=0.0)


NEEDS_BRANCHES = "layers in residual branches (model: resnet, resmlp, transformer)"

SCHEMES = (
    Scheme(
        name="fixup",
        family="residual",
        summary="residual nets without norms: every branch is 0 at the start, and one step changes the output by Θ(lr)",
        formula="last layer of each branch and head W = 0; other layers of branches W ~ N(0, gain² / fan_in) · "
        "L^(-1 / (2m - 2)); all else kaiming_normal; b = 0; multipliers 1",
        keeps="the signal itself: every block is the identity (through relu) at the start, at any depth",
        paper="Zhang, Dauphin & Ma 2019, Fixup initialization: residual learning without normalization "
        "(arXiv:1901.09321)",
        torch_call="nn.init.normal_(w, std=gain * L ** (-1 / (2 * m - 2)) / fan_in ** 0.5)",
        choose=fixup,
        own_biases=True,
        fill=scaled_normal,
        code=_scaled_code,
        moments=_scaled_normal,
        dims=(2, 99),
        fills=NEEDS_BRANCHES,
        pitfalls=(
            "Made for norm: none. The paper adds a multiplier to every branch (branch_scale: learned); its scalar "
            "biases are the layers' own biases here.",
            "The head is zero: all answers are equally probable at the start, and the first step moves the head alone.",
            "With m = 1 the only layer of a branch is its last, and zero.",
        ),
    ),
    Scheme(
        name="rezero",
        family="residual",
        aliases=("skipinit",),
        summary="the learned multiplier of every residual branch is 0, all else as pytorch_default",
        formula="x + α · branch(x) with α = 0",
        keeps="the signal itself: every block is the identity (through relu) at the start, at any depth",
        paper="Bachlechner, Majumder, Mao, Cottrell & McAuley 2020, ReZero is all you need (arXiv:2003.04887); De & "
        "Smith 2020, SkipInit (arXiv:2002.10444)",
        torch_call="nn.init.zeros_(alpha)",
        choose=rezero,
        own_biases=True,
        also=("scale",),
        fill=fill_zeros,
        moments=_zeros,
        fills="multipliers of residual branches (model: resnet, resmlp or transformer with branch_scale: learned)",
        only=("scale",),
        pitfalls=(
            "Layers inside of branches have no gradient until the multipliers have moved, at the second step.",
            "Other weights in the branches: rules with params: '*.scale.factor', scheme: zeros, and others.",
        ),
    ),
    Scheme(
        name="zero_init_residual",
        family="residual",
        summary="the last norm of every residual branch starts at weight 0, as torchvision's option of that name",
        formula="γ = 0 in the last norm of each branch, 1 in others; convolutions kaiming_normal by fan_out, their "
        "biases 0; others as pytorch_default",
        keeps="the signal itself: every block is the identity (through relu) at the start",
        paper="Goyal et al. 2017, Accurate, large minibatch SGD: training ImageNet in 1 hour (arXiv:1706.02677)",
        torch_call="nn.init.zeros_(block.bn2.weight)",
        choose=zero_init_residual,
        own_biases=True,
        also=("norm",),
        fill=fill_zeros,
        moments=_zeros,
        fills="the last norms of residual branches (model: resnet or resmlp with norm: batch or layer)",
        only=("norm",),
        pitfalls=(
            "Layers inside of branches have no gradient until the norms' weights have moved, at the second step.",
        ),
    ),
    Scheme(
        name="depth_scaled",
        family="residual",
        summary="residual branches add 1 / L of variance each: the signal does not grow with depth",
        formula="last layer of each branch W ~ N(0, gain² / (L · fan_in)), all else N(0, gain² / fan_in); b = 0",
        keeps="the mean square of signals and gradients up to a factor that does not depend on the number of branches",
        paper="Hayou, Clerico, He, Deligiannidis, Doucet & Rousseau 2021, Stable ResNet (arXiv:2010.12859); Hanin & "
        "Rolnick 2018, How to start training (arXiv:1803.01719)",
        torch_call="nn.init.normal_(w, std=gain / (L * fan_in) ** 0.5)",
        choose=depth_scaled,
        own_biases=True,
        fill=scaled_normal,
        code=_scaled_code,
        moments=_scaled_normal,
        dims=(2, 99),
        fills=NEEDS_BRANCHES,
        pitfalls=("Without a norm alone: a norm in the branch undoes the scale of the layer before it.",),
    ),
)
