"""Schemes that look at training data: they scale what another scheme has drawn until signals have the wanted size."""

from __future__ import annotations

import math

from winit_cli.errors import UnfitError
from winit_cli.schemes.fitting import Fitting
from winit_cli.schemes.recipe import Use
from winit_cli.schemes.row import Scheme
from winit_cli.schemes.slots import Slot
from winit_cli.tables import PositiveInt, PositiveNumber


def lsuv(
    slot: Slot, *, tolerance: PositiveNumber = 0.01, iterations: PositiveInt = 10, examples: PositiveInt = 256
) -> Use:
    """Orthogonal weights and no biases, to begin with."""
    return Use("zeros") if slot.kind == "bias" else Use("orthogonal")


def fit_lsuv(net: Fitting, *, tolerance: float, iterations: int, examples: int) -> None:
    """Layer by layer, divide the weight by the standard deviation of what it gives."""
    x = net.batch(examples)
    for slot in net.weights(x):
        if slot.local.startswith("weight_h"):  # of recurrent layers: what it gives depends on itself
            continue
        for _ in range(iterations):
            variance = float(net.responses(slot, x).double().var(correction=0))
            if abs(variance - 1) <= tolerance:
                break
            if variance == 0 or not math.isfinite(variance):
                raise UnfitError(
                    f"lsuv cannot scale {slot.name} to unit variance: what it gives for {len(x)} training examples has "
                    f"variance {variance:g}; give it another scheme by a rule"
                )
            slot.parameter.div_(math.sqrt(variance))
            slot.write()
        else:
            raise UnfitError(
                f"lsuv does not bring {slot.name} to unit variance in {iterations} iterations: it is at "
                f"{variance:.3g}, as where a parametrization undoes the scale; give it another scheme by a rule"
            )


SCHEMES = (
    Scheme(
        name="lsuv",
        family="data-driven",
        summary="orthogonal weights, scaled layer by layer until what each gives for training data has unit variance",
        formula="W orthogonal; from the first layer to the last, W ← W / std(W x) until |Var(W x) - 1| ≤ tolerance",
        keeps="the variance of pre-activations at 1 in every layer, for the data, activations and norms that are there",
        paper="Mishkin & Matas 2016, All you need is a good init (arXiv:1511.06422)",
        torch_call="w.div_(layer(x).std()), from the first layer to the last",
        choose=lsuv,
        fit=fit_lsuv,
        dims=(2, 5),
        pitfalls=(
            "Costs two passes for each layer: init_seconds and init_passes in timings.csv.",
            "A tied weight is scaled for the first of its layers. Rules that give lsuv different options are worked "
            "off one after the other, so a later one changes what an earlier one has seen.",
            "Looks at the variance over all units and examples: single units may be far from 1.",
            "Of recurrent layers it scales the input weights, to unit variance of the projected inputs; the recurrent "
            "ones stay orthogonal.",
        ),
    ),
)
