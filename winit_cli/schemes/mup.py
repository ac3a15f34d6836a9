"""The maximal update parametrization: learning rates that stay right as a network gets wider.

Checked against table 3 of the paper. A layer's width counts in units of ``base_width``, so that at that width all is as
usual; in the table's terms, factors that do not depend on the width are chosen so.
"""

from __future__ import annotations

import math
from typing import Literal

from winit_cli.schemes.kinds import LAYERS
from winit_cli.schemes.recipe import Use
from winit_cli.schemes.row import Gain, Scheme
from winit_cli.schemes.slots import Slot
from winit_cli.tables import PositiveInt
from winit_cli.theory.moments import fans

HE_GAIN = math.sqrt(2)
Part = Literal["input", "hidden", "output", "vector", "other"]


def part_of(slot: Slot) -> Part:
    """What grows with the width: the outputs of an input weight, the inputs of an output weight, both of a hidden one,
    the length of a vector (a bias, or a norm's weight)."""
    if slot.kind in ("bias", "norm"):
        is_of_outputs = "head" in slot.places and slot.kind == "bias"
        return "other" if is_of_outputs or slot.parameter.numel() == 1 else "vector"
    if slot.kind not in LAYERS:
        return "other"
    if "head" in slot.places:
        return "output"
    reads_data = "first" in slot.places and not slot.local.startswith("weight_h") and not _is_above(slot)
    return "input" if reads_data or slot.kind == "embedding" else "hidden"


def _is_above(slot: Slot) -> bool:
    """Whether it belongs to a layer above the first that a recurrent module stacks."""
    return slot.kind == "recurrent" and "_l" in slot.local and not slot.local.partition("_l")[2].startswith("0")


def mup(slot: Slot, *, base_width: PositiveInt = 64, gain: Gain = HE_GAIN) -> Use:
    """Gaussian weights; those of the head shrink by another sqrt(width). An embedding reads one number that is 1."""
    if slot.kind == "bias":
        return Use("zeros")
    if slot.kind == "norm":
        return Use("pytorch_default")
    if slot.kind == "embedding":
        return Use("normal", {"std": 1.0})
    if part_of(slot) != "output":
        return Use("variance_scaling", {"scale": round(float(gain) ** 2, 12), "distribution": "untruncated_normal"})
    wider = slot.block_shape[1] / base_width
    return Use("normal", {"std": 1 / math.sqrt(fans(slot.block_shape)[0] * wider)})


def mup_rate(slot: Slot, optimizer: str, *, base_width: int, gain: Gain) -> float:
    """What multiplies the learning rate of a parameter."""
    part = part_of(slot)
    if part == "other":
        return 1.0
    if optimizer == "sgd" and part in ("input", "vector"):
        return slot.block_shape[1 if slot.kind == "embedding" else 0] / base_width
    if part == "output" or (part == "hidden" and optimizer != "sgd"):
        return base_width / slot.block_shape[1]
    return 1.0


SCHEMES = (
    Scheme(
        name="mup",
        family="width",
        summary="muP: initial values and learning rates by layer, so that one learning rate fits all widths",
        formula="W ~ N(0, gain² / fan_in), embeddings N(0, 1), head W ~ N(0, base_width / fan_in²), b = 0; learning "
        "rate × base_width / width for the head and, with adam, adamw and rmsprop, for hidden weights; with sgd × "
        "width / base_width for input weights, biases and norms",
        keeps="how much one step of training moves every layer's pre-activations, at any width; the output at the "
        "start shrinks as 1 / sqrt(width)",
        paper="Yang, Hu, Babuschkin, Sidor, Liu, Farhi, Ryder, Pachocki, Chen & Gao 2022, Tensor Programs V "
        "(arXiv:2203.03466)",
        torch_call="nn.init.normal_(head.weight, std=base_width ** 0.5 / fan_in); torch.optim.Adam([dict(params="
        "[head.weight], lr=lr * base_width / width), …])",
        choose=mup,
        own_biases=True,
        also=("norm",),
        rate=mup_rate,
        fills="all weights",
        pitfalls=(
            "Find the learning rate at one width with vary: {model.width: […]} and keep base_width while the width "
            "changes: at width = base_width all learning rates are the given one.",
            "At widths near base_width the output of the start is of size 1, and the first steps undo it: there the "
            "coordinate check sees the head change less the wider the net is. Take widths well above.",
            "The multipliers are winit's: an export of the initial values alone does not carry them "
            "(winit check --parameters lists them).",
            "adamw's weight decay is multiplied with the learning rate, so it shrinks with it.",
            "With attention the paper divides by d, not sqrt(d): a transformer of this catalogue does not.",
        ),
    ),
)
