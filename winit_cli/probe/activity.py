"""The forward pass, layer by layer: the rows of what ``signal.py`` defines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from winit_cli.probe import signal
from winit_cli.probe.arrays import joined, mean_square
from winit_cli.probe.layers import Layer
from winit_cli.probe.measured import Row


def activity(layers: Sequence[Layer], x: Tensor) -> Iterator[Row]:
    """Rows of the signal that x (B, …) makes in each layer."""
    before = mean_square(x)
    for layer in layers:
        z = joined(layer, len(x)).double()
        square = signal.pre_mean_square(z)
        values = {
            "pre_mean": signal.pre_mean(z),
            "pre_mean_square": square,
            "pre_variance": signal.pre_variance(z),
            "layer_gain": signal.layer_gain(square, before),
            "correlation": signal.correlation(z),
            **(_states(layer, z) if layer.is_recurrent else _activations(layer, z)),
        }
        yield from (Row(layer.path, layer.depth, metric, value) for metric, value in values.items())
        before = square


def _activations(layer: Layer, z: Tensor) -> dict[str, float]:
    """What the activation makes of z; nothing where none was seen, or where it has parameters."""
    if layer.activation is None:
        return {}
    with torch.no_grad():
        values = _sizes(layer.activation(z))
    if layer.activation_name in signal.RECTIFIED:
        values["dead_fraction"] = signal.dead_fraction(z)
    if layer.activation_name in signal.BOUNDED:
        values["saturated_fraction"] = signal.saturated_fraction(z, layer.activation)
    return values


def _states(layer: Layer, states: Tensor) -> dict[str, float]:
    """Of a recurrent layer, whose output has gone through its activation already."""
    values = _sizes(states)
    if layer.recurrence == "RNN_RELU":
        values["dead_fraction"] = signal.dead_fraction(states)
    if layer.recurrence == "RNN_TANH":
        values["saturated_fraction"] = signal.saturated_states(states)
    return values


def _sizes(a: Tensor) -> dict[str, float]:
    return {"act_mean_square": signal.act_mean_square(a), "act_variance": signal.act_variance(a)}
