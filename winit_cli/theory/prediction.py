"""What theory expects of a given network, layer by layer: layers may differ, as those of a real one do.

A layer counts by ``sigma_w2 = fan_in E[w^2]`` and ``sigma_b2 = E[b^2]``; its weights are independent and of mean 0. The
mean square of pre-activations follows Poole et al. 2016 (arXiv:1606.05340), gradients Schoenholz et al. 2017
(arXiv:1611.01232). Expectations over nets; their spread at finite width is told by ``winit_cli.theory.finite_width``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from winit_cli.theory import scale_free
from winit_cli.theory.activations import ACTIVATIONS, check_activation
from winit_cli.theory.maps import correlation_map, mean_power_of_slope, mean_square
from winit_cli.theory.scale_free import SLOPES

SETTLED = 1e-9  # a change of a correlation below it counts as none
CHANCE = 6.0  # standard errors that the mean of numbers of mean 0 may lie from it
OVERFLOW = 3.4e38  # of single precision: a net has no larger numbers


@dataclass(frozen=True)
class Scales:
    """``fan_in E[w^2]`` and ``E[b^2]`` of one layer, the head included."""

    sigma_w2: float
    sigma_b2: float = 0.0


def plain_activation(model: Mapping[str, Any]) -> str | None:
    """The activation of a model, as in the YAML, that these predictions hold for: a multilayer perceptron without norm
    layers; None for all others."""
    activation = model.get("activation", "relu")
    is_plain = model.get("name") == "mlp" and model.get("norm", "none") == "none" and activation in ACTIVATIONS
    return str(activation) if is_plain else None


def predicted_squares(activation: str, layers: Sequence[Scales], of_input: float) -> list[float]:
    """``q_1 = sigma_w1^2 p + sigma_b1^2`` for an input of mean square p, then ``q_l = V_l(q_(l-1))``; one for each
    layer, the head last; infinite from where a net overflows."""
    check_activation(activation)
    found: list[float] = []
    for layer in layers:
        kept = _mean_square(activation, found[-1]) if found else of_input
        q = layer.sigma_w2 * kept + layer.sigma_b2
        found.append(q if q <= OVERFLOW else math.inf)
    return found


def _mean_square(activation: str, q: float) -> float:
    """``E[f(sqrt(q) z)^2]``."""
    if activation in SLOPES:
        return q * scale_free.half_mean_square(SLOPES[activation])
    return mean_square(activation, q) if q < math.inf else math.inf


def predicted_gradients(activation: str, layers: Sequence[Scales], squares: Sequence[float]) -> list[float]:
    """Norm of ``dL/dz`` of each layer in proportion to the head's, which is 1.

    From layer l + 1 to layer l its square changes by ``chi = sigma_w^2 E[f'(sqrt(q_l) z)^2]``, sigma_w being that of
    layer l + 1. NaN in front of layers that overflow.
    """
    found = [1.0]
    for layer, q in zip(reversed(layers[1:]), reversed(squares[:-1]), strict=True):
        slopes = mean_power_of_slope(activation, q) if q < math.inf else math.nan
        found.append(found[-1] * math.sqrt(layer.sigma_w2 * slopes))
    return found[::-1]


def predicted_correlations(
    activation: str, layers: Sequence[Scales], squares: Sequence[float], first: float
) -> list[float]:
    """Correlation of two inputs in each layer, from that in the first on; NaN where no signal is left."""
    found = [first]
    for depth in range(1, len(layers)):
        is_settled = (
            depth > 1
            and layers[depth] == layers[depth - 1]
            and math.isclose(squares[depth - 1], squares[depth - 2])
            and abs(found[-1] - found[-2]) < SETTLED
        )
        found.append(
            found[-1] if is_settled else next_correlation(activation, layers[depth], squares[depth - 1], found[-1])
        )
    return found


def next_correlation(activation: str, layer: Scales, q: float, c: float) -> float:
    """``C(c)`` of a layer whose inputs have the mean square q before their activation; NaN where it gives nothing."""
    if not 0 < q < math.inf or math.isnan(c):
        return math.nan
    c = min(1.0, max(-1.0, c))
    if layer.sigma_w2 == layer.sigma_b2 == 0:
        return math.nan
    if activation not in SLOPES:
        return correlation_map(c, activation, layer.sigma_w2, layer.sigma_b2, q)
    slope = SLOPES[activation]
    shared = layer.sigma_w2 * q * scale_free.kernel(c, slope) + layer.sigma_b2
    whole = layer.sigma_w2 * q * scale_free.half_mean_square(slope) + layer.sigma_b2
    return shared / whole if whole else math.nan


class Written(Protocol):
    """What is known of a tensor as it was written: a row of ``init.csv``."""

    @property
    def shape(self) -> str: ...
    @property
    def fan_in(self) -> float | None: ...
    @property
    def mean(self) -> float: ...
    @property
    def std(self) -> float: ...
    @property
    def expected_std(self) -> float | None: ...


def network(paths: Sequence[str], written: Mapping[str, Written]) -> list[Scales] | None:
    """The layers at these paths from their tensors ``PATH.weight`` and ``PATH.bias``; None where one is not known.

    A standard deviation is the expected one where there is one, else the measured. Theory is silent where the mean of
    a tensor is not 0 but for chance.
    """
    found: list[Scales] = []
    for path in paths:
        weight, bias = written.get(f"{path}.weight"), written.get(f"{path}.bias")
        if weight is None or not _is_centred(weight) or not (bias is None or _is_centred(bias)):
            return None
        if weight.fan_in is None or math.isnan(weight.fan_in):
            return None
        found.append(Scales(weight.fan_in * _std(weight) ** 2, 0.0 if bias is None else _std(bias) ** 2))
    return found


def _std(written: Written) -> float:
    expected = written.expected_std
    return written.std if expected is None or math.isnan(expected) else expected


def _is_centred(written: Written) -> bool:
    count = 1 if written.shape == "scalar" else math.prod(map(int, written.shape.split("x")))
    return abs(written.mean) <= CHANCE * written.std / math.sqrt(count)
