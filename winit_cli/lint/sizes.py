"""Weights too small or too large for the fans and the depth: what theory expects at the far end of the network.

The limits are those of the probe, which measures what is expected here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from winit_cli.criteria import BACKWARD_GROWN, FADED, FORWARD_GROWN, SATURATED
from winit_cli.lint.chain import Chain, Layer
from winit_cli.lint.expectation import LEAST
from winit_cli.lint.filled import Filled
from winit_cli.lint.prediction import Prediction
from winit_cli.lint.steps import SURE, grown_in_time, lost_in_time
from winit_cli.lint.subject import Found, Label
from winit_cli.lint.words import std_text
from winit_cli.probe import advice


def std_too_small(label: Label) -> Iterator[Found]:
    """Signal or gradient is lost before it reaches the other end."""
    yield from lost_in_time(label)
    chain, found = label.chain, label.prediction
    if chain is None or found is None or not found.gradients or _too_large(chain, found, 1 / SURE):
        return
    last = len(chain.hidden)
    if last and found.size(last)[1] < FADED / SURE:
        size = math.sqrt(found.squares[last - 1][1])
        steady = size ** (1 / last)
        reason = f"the signal shrinks {steady:.2g}x per layer, to {advice.times(size)} the input's size at layer {last}"
        yield _found(label, chain, chain.hidden[-1].weight, reason, -math.log(size or LEAST))
    elif found.gradient[1] < FADED / SURE:
        gradient = math.sqrt(found.gradients[0][1])
        reason = f"{_steady(gradient, last)}, to {advice.times(gradient)} the last layer's at layer 1"
        yield _found(label, chain, chain.layers[min(1, last)].weight, reason, -math.log(gradient or LEAST))


def std_too_large(label: Label) -> Iterator[Found]:
    """Signal or gradient grows beyond use, or units are flat from the start."""
    yield from grown_in_time(label)
    chain, found = label.chain, label.prediction
    if chain and found and (large := _too_large(chain, found, SURE)):
        layer, reason, extent = large
        yield _found(label, chain, layer.weight, reason, extent)


def _too_large(chain: Chain, found: Prediction, sure: float) -> tuple[Layer, str, float] | None:
    """The layer at fault, what is said of it, and how bad it is, so many times beyond a limit."""
    for depth, (layer, share) in enumerate(zip(chain.hidden, found.saturated, strict=False), 1):
        if share >= SATURATED * sure:
            text = f"{share:.0%} of the pre-activations of layer {depth} lie where {chain.activation} is flat"
            return layer, text, share
    least, depth = max((found.size(depth)[0], depth) for depth in range(1, len(chain.layers) + 1))
    if least > FORWARD_GROWN * sure:
        size = math.sqrt(found.squares[depth - 1][0])
        steady = f"the signal grows {size ** (1 / depth):.2g}x per layer"
        text = f"{steady}, to {advice.times(size)} the input's size at layer {depth}"
        return chain.layers[depth - 1], text, math.log(size)
    if found.gradients and found.gradient[0] > BACKWARD_GROWN * sure:
        gradient = math.sqrt(found.gradients[0][0])
        text = f"small differences and gradients grow: {_steady(gradient, len(chain.hidden))}"
        return chain.layers[1], f"{text}, to {advice.times(gradient)} the last layer's at layer 1", math.log(gradient)
    return None


def _steady(gradient: float, hidden: int) -> str:
    """By which factor it changes in every layer."""
    how = "shrinks" if gradient < 1 else "grows"
    return f"the gradient {how} {gradient ** (1 / max(1, hidden)):.2g}x per layer on its way back"


def _found(label: Label, chain: Chain, cause: Filled, reason: str, extent: float) -> Found:
    path = label.path(cause, "std", "gain", "nonlinearity", "mode", "scheme")
    return Found((label,), path, f"{reason} ({std_text(cause)})", advice.cure(chain.activation), extent=extent)
