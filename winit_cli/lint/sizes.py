"""Weights too small or too large for the fans and the depth: what theory expects at the far end of the network.

The limits are those of the probe, which measures what is expected here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from winit_cli.criteria import BACKWARD_GROWN, FADED, FORWARD_GROWN, SATURATED
from winit_cli.lint.chain import Chain, Layer
from winit_cli.lint.expectation import LEAST
from winit_cli.lint.filled import Filled
from winit_cli.lint.prediction import Prediction
from winit_cli.lint.steps import SURE, grown_in_time, lost_in_time
from winit_cli.lint.subject import Found, Label
from winit_cli.lint.words import ending, is_beyond, std_text
from winit_cli.probe import advice


def std_too_small(label: Label) -> Iterator[Found]:
    """Signal or gradient is lost before it reaches the other end."""
    yield from lost_in_time(label)
    chain, found = label.chain, label.prediction
    if chain is None or found is None or not found.gradients or _too_large(chain, found, 1 / SURE):
        return
    last = len(chain.hidden)
    if last and found.size(last)[1] < FADED / SURE:
        sizes = [math.sqrt(high) for _, high in found.squares[:last]]
        reason = f"the signal {_changing(sizes, last, 'shrinks')}"
        yield _found(label, chain, chain.hidden[-1].weight, reason, -math.log(sizes[-1] or LEAST))
    elif found.gradient[1] < FADED / SURE:
        sizes = [math.sqrt(high) for _, high in found.gradients]
        reason, cause = _back(sizes)
        yield _found(label, chain, chain.layers[cause].weight, reason, -math.log(sizes[0] or LEAST))


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
        sizes = [math.sqrt(low) for low, _ in found.squares[:depth]]
        text = f"the signal {_changing(sizes, len(chain.hidden), 'grows')}"
        return chain.layers[depth - 1], text, math.log(sizes[-1])
    if found.gradients and found.gradient[0] > BACKWARD_GROWN * sure:
        sizes = [math.sqrt(low) for low, _ in found.gradients]
        reason, cause = _back(sizes)
        return chain.layers[cause], f"small differences and gradients grow: {reason}", math.log(sizes[0])
    return None


def _changing(sizes: Sequence[float], hidden: int, how: str) -> str:
    """``shrinks 0.41x per layer, to 2e-5 of the input's size at layer 12``, from the sizes layer by layer; it ends
    where single precision does."""
    end = next((depth for depth, size in enumerate(sizes, 1) if is_beyond(size)), len(sizes))
    size = sizes[end - 1]
    steady = f" {size ** (1 / end):.2g}x per layer" + ("" if is_beyond(size) else ",") if 0 < size < math.inf else ""
    whose, where = "the input's size", f"at layer {end}" if end <= hidden else f"at the head (layer {end})"
    return f"{how}{steady} {ending(size, whose, where)}"


def _back(sizes: Sequence[float]) -> tuple[str, int]:
    """The same of gradients, from those of all layers in proportion to the head's, which comes last; and the position
    of the layer whose weights do it."""
    hidden = len(sizes) - 1
    first = next((depth for depth in range(hidden, 0, -1) if is_beyond(sizes[depth - 1])), 1)
    size, layers = sizes[first - 1], max(1, len(sizes) - first)
    how = "shrinks" if size < 1 else "grows"
    steady = f" {size ** (1 / layers):.2g}x per layer" if 0 < size < math.inf else ""
    comma, whose = "" if is_beyond(size) else ",", "the last layer's"
    reason = f"the gradient {how}{steady} on its way back{comma} {ending(size, whose, f'at layer {first}')}"
    return reason, min(first, hidden)


def _found(label: Label, chain: Chain, cause: Filled, reason: str, extent: float) -> Found:
    path = label.path(cause, "std", "gain", "nonlinearity", "mode", "scheme")
    return Found((label,), path, f"{reason} ({std_text(cause)})", advice.cure(chain.activation), extent=extent)
