"""One sentence for each verdict: what was seen, and what to use instead."""

from __future__ import annotations

import math

from winit_cli.schemes.slots import ROOT

HEALTHY = (
    "signal and gradient keep their size and units differ: initialization is probably not the cause of a failure; "
    "look at the learning rate next, then at the data and its labels, then at the loss"
)
NO_GRADIENT = (
    "the output is finite, but the gradient of its loss is not: look at the loss and at the targets, the weights are "
    "not the cause"
)
NOT_OVER_TIME = "; how far gradients reach back in time was not measured"
_GAIN_1 = "use gain 1, e.g. xavier_normal or orthogonal"
_GAIN_SQRT_2 = "use gain sqrt(2), e.g. kaiming_normal"
_CURES = {
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


def cure(activation: str) -> str:
    """The gain that keeps the signal's size through an activation, and a scheme that has it."""
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
        f"{share:.0%} of the {gate} gate's values of {path} are below 0.05 or above 0.95, where it hardly moves: use "
        "smaller weights, e.g. orthogonal or xavier_normal"
    )


def over_time(path: str, recurrence: str, lag: int, change: float) -> str:
    """The gradient of a recurrent layer's state is ``change`` times as large ``lag`` steps before the last one."""
    rate = f"{change ** (1 / lag):.2g}x per step"
    lost = " and lost in the rounding of a sum over steps" if change < 1 else ""
    weights = "weight_hh*" if path == ROOT else f"{path}.weight_hh*"
    scheme = "eye, the identity," if recurrence == "RNN_RELU" else "orthogonal"
    kept = f"{scheme} for the recurrent weights {weights}"
    use = _OPEN.get(recurrence, kept) if change < 1 else kept
    return f"the gradient of the state {lag} steps back is {times(change)} the last step's ({rate}){lost}: use {use}"


def faint(lag: int, change: float) -> str:
    """What is said beside healthy of a gradient that comes back over ``lag`` steps small, but not lost."""
    return (
        f"; what hangs on the first step may be slow to learn: its gradient is {times(change)} that {lag} steps later"
    )


def not_finite(depth: int, activation: str) -> str:
    """The forward pass overflows."""
    return f"the forward pass overflows at layer {depth}: {cure(activation)}"


def forward(factor: float, first: int, end: int, change: float, start: int, gradient: float, activation: str) -> str:
    """The signal's size changes from layer to layer: by ``factor`` each from ``first`` on, to ``change`` times that of
    ``start`` (0 the input) at depth ``end``, with a ``gradient`` at layer 1 in proportion to the last's."""
    how = "shrink" if change < 1 else "grow"
    seen = f"activations {how} {factor:.2g}x per layer from layer {first} on; at depth {end} they are {times(change)}"
    back = f", and {_first_gradient(gradient)}" if gradient == gradient else ""
    since = f"those of layer {start}" if start else "the input"
    return f"{seen} {since}{back}: {cure(activation)}"


def backward(factor: float, depth: int, change: float, activation: str) -> str:
    """The gradient's size changes on its way back through ``depth`` layers, by ``factor`` each."""
    how = "gradients shrink" if change < 1 else "the signal keeps its size, but small differences and gradients grow"
    seen = f"{how} {factor:.2g}x per layer; at depth {depth} {_first_gradient(change)}"
    return f"{seen}: {cure(activation)}"


def _first_gradient(ratio: float) -> str:
    return f"the gradient of layer 1 is {times(ratio)} the last"


def times(ratio: float) -> str:
    """``3e-5 of``, ``4e9 times``."""
    if ratio == math.inf:
        return "over 3e38 times"  # what single precision holds
    digits, _, power = f"{ratio:.0e}".partition("e")
    text = "0" if ratio == 0 else f"{digits}e{int(power)}" if power else digits
    return f"{text} of" if ratio < 1 else f"{text} times"
