"""One sentence for each verdict: what was seen, and what to use instead."""

from __future__ import annotations

import math
from collections.abc import Sequence

from winit_cli.criteria import CLOSED, EVEN, OPEN
from winit_cli.schemes.slots import ROOT

NOT_THE_CAUSE = (
    ": initialization is probably not the cause of a failure; look at the learning rate next, then at the data and its "
    "labels, then at the loss"
)
NO_GRADIENT = (
    "the output is finite, but the gradient of its loss is {gradient}: look at the loss and at the targets, the "
    "weights are not the cause"
)
NOTHING_TRAINS = "; no parameter trains (requires_grad), so that no gradient was seen"
HEAD_IS_ZERO = (
    "; the head is zero, so that the layers before it get no gradient before its first update: how gradients change on "
    "their way back was not seen"
)
# of recall over 20 steps in plain layers and a GRU: with less than a thousandth of the last step's gradient 8 of 8
# schemes got stuck by sgd, and 3 of 11 by adam, whose steps do not shrink with the gradient
FAR = "sgd hardly learns what hangs on it alone, adam late"
NOT_OVER_TIME = "; how far gradients reach back in time was not measured"
_GAIN_1 = "use gain 1, e.g. xavier_normal or orthogonal"
_GAIN_SQRT_2 = "use gain sqrt(2), e.g. kaiming_normal"
IN_BRANCHES = "residual branches"  # where these grow or fade, no gain is to blame, but what is added
_CURES = {
    IN_BRANCHES: "scale what residual branches add, e.g. fixup, depth_scaled or rezero, or give them a norm",
    "": "use a gain that keeps the signal's size, e.g. kaiming_normal for relu, xavier_normal for tanh",
    "linear": "use gain 1, e.g. orthogonal",
    "selu": "use gain 1, e.g. lecun_normal",
    "sigmoid": "use another activation, e.g. tanh with xavier_normal",
    "sine": "use a scheme made for it, e.g. siren or edge_of_chaos",
    **dict.fromkeys(("tanh", "softsign", "hardtanh"), _GAIN_1),
    **dict.fromkeys(("relu", "relu6", "leaky_relu"), _GAIN_SQRT_2),
}
_OPEN = {
    "LSTM": "a forget gate that starts open, e.g. forget_bias or chrono",
    "GRU": "an update gate that starts open, e.g. chrono",
}


def healthy(signal: float, start: int, gradient: float, layer: int) -> str:
    """``signal`` is the size of that hidden layer's pre-activations, in proportion to those of ``start`` (0 the input),
    which is farthest from 1, ``gradient`` that of a ``layer`` in proportion to the last's; NaN of what was not seen."""
    changed = [
        *([f"pre-activations are {times(signal)} {_those_of(start)}"] if _is_uneven(signal) else []),
        *([gradient_of(layer, gradient)] if _is_uneven(gradient) else []),
    ]
    kept = "the signal keeps its size" if math.isnan(gradient) else "signal and gradient keep their size"
    said = f"{' and '.join(changed)}, which training can usually bear," if changed else kept
    return f"{said} and units do not stay equal"


def _is_uneven(ratio: float) -> bool:
    return ratio > EVEN or ratio < 1 / EVEN


def cut_off(paths: Sequence[str]) -> str:
    """What is said of layers that the loss does not depend on."""
    named = f"{', '.join(paths[:3])}{', …' if len(paths) > 3 else ''}"
    return f"; the loss does not depend on {named} (detached, or not used), which will not train"


def cure(activation: str) -> str:
    """The gain that keeps the signal's size through an activation, and a scheme that has it; or what helps in residual
    nets."""
    return _CURES.get(activation, "use the activation's own gain, e.g. orthogonal with gain: auto")


def symmetric(units: int, path: str) -> str:
    """All units of a layer are one."""
    return (
        f"all {units} units of {path} are equal and get equal gradients, so they stay one unit: draw the weights at "
        "random, e.g. with kaiming_normal or orthogonal"
    )


def dead(share: float, path: str, activation: str) -> str:
    """Most units are silent for all examples."""
    return (
        f"{share:.0%} of the units of {path} are <= 0 for every example, where {activation} passes neither signal nor "
        "gradient: use random weights in every row and zero biases, e.g. kaiming_normal with bias: zeros"
    )


def saturated(share: float, path: str, activation: str, size: float) -> str:
    """Most pre-activations lie where the activation is flat."""
    return (
        f"{share:.0%} of the pre-activations of {path}, of size {size:.2g}, lie where {activation or 'tanh'} is flat: "
        f"{cure(activation or 'tanh')}"
    )


def gates_saturated(share: float, gate: str, path: str) -> str:
    """Most values of a gate are nearly 0 or 1."""
    return (
        f"{share:.0%} of the {gate} gate's values of {path} are below {CLOSED} or above {OPEN}, where it hardly moves: "
        "use smaller weights, e.g. orthogonal or xavier_normal"
    )


def over_time(path: str, recurrence: str, lag: int, change: float) -> str:
    """The gradient of a recurrent layer's state is ``change`` times as large ``lag`` steps before the last one."""
    rate = f"{change ** (1 / lag):.2g}x per step"
    lost = f" and lost in the rounding of a sum over steps; {FAR}" if change < 1 else ""
    weights = "weight_hh*" if path == ROOT else f"{path}.weight_hh*"
    scheme = "eye, the identity," if recurrence == "RNN_RELU" else "orthogonal"
    kept = f"{scheme} for the recurrent weights {weights}"
    use = _OPEN.get(recurrence, kept) if change < 1 else kept
    return f"the gradient of the state {lag} steps back is {times(change)} the last step's ({rate}){lost}: use {use}"


def faint(lag: int, change: float) -> str:
    """What is said beside healthy of a gradient that comes back over ``lag`` steps small, but not lost."""
    return f"; the first step's gradient is {times(change)} that {lag} steps later: {FAR}"


def not_finite(depth: int, activation: str) -> str:
    """The forward pass overflows."""
    return f"the forward pass overflows at layer {depth}: {cure(activation)}"


def forward(factor: float, first: int, end: int, change: float, start: int, gradient: str, activation: str) -> str:
    """The signal's size changes from layer to layer: by ``factor`` each from ``first`` on, to ``change`` times that of
    ``start`` (0 the input) at depth ``end``; ``gradient`` is what is said of it, if anything."""
    how = "shrink" if change < 1 else "grow"
    seen = f"activations {how} {factor:.2g}x per layer from layer {first} on; at depth {end} they are {times(change)}"
    back = f", and {gradient}" if gradient else ""
    return f"{seen} {_those_of(start)}{back}: {cure(activation)}"


def _those_of(start: int) -> str:
    return f"those of layer {start}" if start else "the input"


def backward(factor: float, depth: int, change: float, layer: int, activation: str) -> str:
    """The gradient's size changes on its way back through ``depth`` layers to a ``layer``, by ``factor`` each."""
    how = "gradients shrink" if change < 1 else "the signal keeps its size, but small differences and gradients grow"
    return f"{how} {factor:.2g}x per layer; at depth {depth} {gradient_of(layer, change)}: {cure(activation)}"


def gradient_of(layer: int, ratio: float) -> str:
    """``the gradient of layer 1 is 3e-5 of the last``; blank where it was not measured."""
    return "" if math.isnan(ratio) else f"the gradient of layer {layer} is {times(ratio)} the last"


def times(ratio: float) -> str:
    """``3e-5 of``, ``4e9 times``."""
    if ratio == math.inf:
        return "over 3e38 times"  # what single precision holds
    digits, _, power = f"{ratio:.0e}".partition("e")
    text = "0" if ratio == 0 else f"{digits}e{int(power)}" if power else digits
    return f"{text} of" if ratio < 1 else f"{text} times"
