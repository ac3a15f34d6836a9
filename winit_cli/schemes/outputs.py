"""Biases of output layers that know how often each answer is right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Generator, Tensor, nn

from winit_cli.errors import ConfigError, Fault
from winit_cli.schemes.recipe import Use
from winit_cli.schemes.row import Scheme
from winit_cli.schemes.slots import Slot
from winit_cli.tables import Number
from winit_cli.theory.moments import Moments, constant, in_parts

Probability = Annotated[Number, Field(gt=0, lt=1)]
Frequencies = Annotated[tuple[Probability, ...], Field(min_length=2)]


def bias_prior(slot: Slot, *, prior: Probability | Frequencies = 0.01) -> Use:
    """The biases of the head; all else as pytorch_default.

    Raises:
        ConfigError: there are more or fewer frequencies than outputs.
    """
    is_recurrent = isinstance(slot.module, nn.RNNBase | nn.RNNCellBase)
    if slot.kind != "bias" or "head" not in slot.places or is_recurrent:
        return Use("pytorch_default")
    outputs = slot.shape[0]
    if isinstance(prior, float):
        return Use("bias_prior", {"logits": (math.log(prior / (1 - prior)),) * outputs})
    if len(prior) != outputs:
        raise ConfigError([Fault("", f"bias_prior has {len(prior)} frequencies, {slot.name} has {outputs} outputs")])
    return Use("bias_prior", {"logits": tuple(math.log(p) for p in prior)})


def fill_logits(tensor: Tensor, generator: Generator, *, logits: Sequence[float]) -> None:
    tensor.copy_(torch.tensor(logits, dtype=torch.float64))


def _logits(shape: Sequence[int], logits: Sequence[float]) -> Moments:
    return in_parts(*map(constant, logits))


def _logits_code(logits: Sequence[float]) -> str:
    if len(set(logits)) == 1:
        return f"nn.init.constant_(w, {logits[0]})"
    return f"w.copy_(torch.tensor({list(logits)}))"


def _add_up(options: Mapping[str, Any]) -> str | None:
    prior = options["prior"]
    if isinstance(prior, float) or math.isclose(sum(prior), 1, abs_tol=0.01):
        return None
    return f"the frequencies of all classes add up to 1, these to {sum(prior):.4g}"


SCHEMES = (
    Scheme(
        name="bias_prior",
        family="outputs",
        summary="output biases that answer with the classes' frequencies at the start, all else as pytorch_default",
        formula="b = -log((1 - prior) / prior); with a list of class frequencies b_k = log p_k",
        keeps="the share of each answer at the start at what it is in the data; nothing from layer to layer",
        paper="Lin, Goyal, Girshick, He & Dollár 2017, Focal loss for dense object detection (arXiv:1708.02002)",
        torch_call="nn.init.constant_(head.bias, -math.log((1 - prior) / prior))",
        code=_logits_code,
        choose=bias_prior,
        own_biases=True,
        fill=fill_logits,
        moments=_logits,
        check=_add_up,
        fills="the biases of the head",
        only=("linear", "conv"),
        pitfalls=(
            "One prior is for outputs that go through a sigmoid each; a softmax does not see a constant, so give it "
            "the frequencies of the classes: prior: [0.9, 0.1].",
            "For the biases of other layers use a rule: {params: cls.bias, scheme: constant, val: -4.6}.",
        ),
    ),
)
