"""What a scheme writes into every parameter of a layer: fans, gain, std and bound, and the formula with its numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from winit_cli.errors import ConfigError, UsageError
from winit_cli.explain.fan import Fan, Of, fan_of
from winit_cli.explain.gains import gain_source
from winit_cli.explain.in_numbers import in_numbers, in_parts
from winit_cli.explain.layers import Layer
from winit_cli.explain.torch_code import call_of
from winit_cli.foreign import blaming
from winit_cli.schemes import SCHEMES
from winit_cli.schemes.apply import Assignment, assign
from winit_cli.schemes.audit import expected
from winit_cli.schemes.branches import Place
from winit_cli.schemes.recipe import Recipe
from winit_cli.schemes.slots import slots
from winit_cli.theory.moments import Moments, fans

OUTPUT = Place(1, 8, 2, 1, last=True, skip=8**0.25, heads=4)
# where the layer is taken to stand in its model: the first place in which the scheme has something to fill
STANDINGS: dict[str, dict[str, Any]] = {
    "": {"places": ()},
    "the head of its model": {"places": ("head", "last")},
    "the first of two layers in one of 8 residual branches": {"places": (), "branch": Place(1, 8, 2, 0), "branches": 8},
    "the output of an attention in one of 8 residual branches": {"places": (), "branch": OUTPUT, "branches": 8},
}
DATA_DECIDES = "none: training data decides"


@dataclass(frozen=True)
class Parameter:
    """One parameter, its numbers those of one block (a gate, a group); ``None`` where there is none.

    ``std = gain / sqrt(fan_size)`` where the formula has a fan; ``gain_on_fan_in`` is ``std sqrt(fan_in)``, what the
    values amount to whatever their formula. ``in_numbers`` is the formula with the numbers put in, ``torch`` code. Of a
    parameter ``is_in_parts``, which has several laws, the numbers are those of all together, ``gates`` those of each.
    """

    param: str
    shape: str
    blocks: int
    scheme: str
    fan_in: int | None
    fan_out: int | None
    std: float | None
    mean: float | None
    gain: float | None
    bound: float | None
    variance: float | None
    fan: str | None
    fan_size: float | None
    gain_source: str | None
    gain_on_fan_in: float | None
    is_in_parts: bool
    gates: dict[str, dict[str, float | None]] | None
    in_numbers: str
    torch: str | None


def assignments_of(recipe: Recipe, layer: Layer) -> tuple[list[Assignment], str]:
    """Which scheme fills each parameter of a layer, and where that is taken to stand; nothing: between others.

    Raises:
        UsageError: torch has no such layer, or the scheme cannot fill it.
    """
    found, reasons = slots(layer.module()), []
    for where, place in STANDINGS.items():
        try:
            return assign([replace(slot, **place) for slot in found], recipe), where
        except ConfigError as error:
            reasons.append(error.faults[0].message.partition(";")[0])
    raise UsageError(f"--layer {layer}: {reasons[0]}; choose another layer, or another scheme")


def parameter_of(
    assignment: Assignment, layer: Layer, given: Mapping[str, Any], activation: str, *, is_chosen: bool = False
) -> Parameter:
    """The facts of one parameter; ``given`` are the options as the user wrote them. With ``is_chosen`` a scheme has
    looked at the layer and chosen the one that fills it, with these options."""
    slot, use = assignment.slot, assignment.use
    with blaming(f"the moments of scheme {use.scheme}"):
        moments = expected(assignment)
    block = slot.block_shape
    fan_in, fan_out = fans(block) if len(block) > 1 else (None, None)
    fan = _fan(assignment, moments, layer)
    has_gain = moments.gain is not None
    return Parameter(
        param=slot.name,
        shape="x".join(map(str, slot.shape)),
        blocks=slot.blocks,
        scheme=use.scheme,
        fan_in=fan_in,
        fan_out=fan_out,
        std=moments.std,
        mean=moments.mean,
        gain=moments.gain,
        bound=moments.bound,
        variance=None if moments.std is None else moments.std**2,
        fan=fan.name if fan else None,
        fan_size=fan.size if fan else None,
        gain_source=gain_source(use.scheme, use.options, given, activation) if has_gain else None,
        gain_on_fan_in=moments.std * math.sqrt(fan_in) if moments.std is not None and fan_in else None,
        is_in_parts=bool(moments.parts),
        gates=_gates(moments, layer),
        in_numbers=DATA_DECIDES
        if assignment.fitted
        else in_parts(moments, layer.gates)
        or in_numbers(moments, fan, None if is_chosen else _formula(assignment), block),
        torch=call_of(assignment, layer, moments),
    )


def _gates(moments: Moments, layer: Layer) -> dict[str, dict[str, float | None]] | None:
    if not moments.parts or not layer.gates:
        return None
    of_each = zip(layer.gates, moments.parts, strict=True)
    return {name: {"mean": one.mean, "std": one.std, "bound": one.bound} for name, one in of_each}


def _formula(assignment: Assignment) -> Of:
    use = assignment.use
    return lambda shape: SCHEMES[use.scheme].moments(tuple(shape), **use.arguments)


def _fan(assignment: Assignment, moments: Moments, layer: Layer) -> Fan | None:
    block = assignment.slot.block_shape
    if assignment.use.scheme != "pytorch_default":
        return fan_of(_formula(assignment), block) if len(block) > 1 else None
    if moments.bound is None:
        return None
    size = round(moments.bound**-2)  # U(±1/sqrt(size)); a bias has the fan_in of its weight
    return Fan("hidden" if layer.is_recurrent else "fan_in", str(size), size)
