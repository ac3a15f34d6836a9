"""What theory expects of a chain of layers: the size of its signal, and of its gradient on the way back.

Weights are independent and of mean 0, so pre-activations are Gaussian across units, ``z ~ N(m, v)``: with n inputs a
layer makes ``m = E[b]`` and ``v = n Var(w) E[f(z)^2] + Var(b)`` of the layer before (Poole et al. 2016,
arXiv:1606.05340), and the squared norm of the gradient changes by ``n Var(w) E[f'(z)^2]`` on its way back (Schoenholz
et al. 2017, arXiv:1611.01232). Where a pool stands between, the truth lies between positions that are all alike and
positions that are independent. Everything is a pair of bounds (low, high).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from winit_cli.lint.chain import Chain, Layer, Pool
from winit_cli.lint.expectation import expectation, saturated
from winit_cli.probe.signal import BOUNDED
from winit_cli.theory.finite_width import log_normal, spread
from winit_cli.theory.scale_free import SLOPES

Bounds = tuple[float, float]
UNEVEN = 0.25  # of the mean square of an image, what most of its positions have


@dataclass(frozen=True)
class Prediction:
    """Layer by layer, the head last: ``squares`` are the mean squares of pre-activations in proportion to the input's;
    ``saturated`` the least shares of units that begin where the activation is flat; ``gradients`` the squared norms of
    ``dL/dz`` in proportion to the head's, empty where nothing is expected of them. ``scatter`` is what most networks
    have in proportion to what is expected, by the number of layers between."""

    squares: tuple[Bounds, ...]
    saturated: tuple[float, ...]
    gradients: tuple[Bounds, ...]
    scatter: tuple[Bounds, ...]

    def size(self, depth: int) -> Bounds:
        """Between which the signal's size lies in most networks, in proportion to the input's."""
        return _roots(self.squares[depth - 1], self.scatter[depth - 1])

    @property
    def gradient(self) -> Bounds:
        """The same of the first layer's gradient in proportion to the last's."""
        return _roots(self.gradients[0], self.scatter[-1])


def _roots(squares: Bounds, scatter: Bounds) -> Bounds:
    return math.sqrt(squares[0] * scatter[0]), math.sqrt(squares[1] * scatter[1])


def is_drawn(chain: Chain) -> bool:
    """Whether all weights are independent draws, and the laws of all biases are known."""
    return all(layer.weight.is_drawn and None not in bias_of(layer) for layer in chain.layers)


def is_centred(chain: Chain) -> bool:
    """Whether all weights are drawn with mean 0."""
    return is_drawn(chain) and all(layer.weight.moments.mean == 0 for layer in chain.layers)


def predict(chain: Chain, of_input: float, examples: Bounds) -> Prediction:
    """The prediction for inputs of a mean square above 0, and of these bounds for most single examples.

    Where the activation has a scale of its own and no bounds, the fate of a signal depends on how large it is: that of
    a mean over examples and narrow layers then lies between those of a small and of a large one.
    """
    is_simple = chain.activation in SLOPES or chain.activation in BOUNDED
    kept = (of_input, of_input) if is_simple else _spread(chain, examples)
    squares: list[Bounds] = []
    variances: list[Bounds] = []
    for depth, layer in enumerate(chain.layers):
        if depth:
            kept = _pooled(chain.activation, layer.pool, _shift(chain.layers[depth - 1]), variances[-1])
        shift, std = bias_of(layer)
        v = _times(_scaled(layer, kept), 1, std**2)
        variances.append(v)
        squares.append(_times(v, 1 / of_input, shift**2 / of_input))
    shares = (flat(chain, layer, _shift(layer), low) for layer, (low, _) in zip(chain.layers, variances, strict=True))
    return Prediction(tuple(squares), tuple(shares), tuple(_gradients(chain, variances)), tuple(_scatter(chain)))


def flat(chain: Chain, layer: Layer, shift: float, variance: float) -> float:
    """The least share of a layer's pre-activations that lie where the activation is flat."""
    part = UNEVEN if layer.is_conv else 1.0
    return saturated(chain.activation, shift * math.sqrt(part), variance * part)


def _spread(chain: Chain, examples: Bounds) -> Bounds:
    """With two standard deviations of the logarithm of what a layer of n units makes of a mean square, sqrt(5 / n)."""
    narrowest = min((layer.units for layer in chain.hidden), default=1)
    factor = math.exp(2 * math.sqrt(spread() / narrowest))
    return examples[0] / factor, examples[1] * factor


def bias_of(layer: Layer) -> tuple[float, float]:
    """Mean and standard deviation of a layer's biases, 0 without them; ``None`` where they have no known law."""
    if layer.bias is None:
        return 0.0, 0.0
    return layer.bias.moments.mean, layer.bias.moments.std  # type: ignore[return-value]


def _shift(layer: Layer) -> float:
    return bias_of(layer)[0]


def _times(bounds: Bounds, factor: float, more: float = 0.0) -> Bounds:
    low, high = bounds
    return low * factor + more, high * factor + more


def _scaled(layer: Layer, kept: Bounds) -> Bounds:
    """``n Var(w)`` times the mean square of the inputs; where the margin lies is not known of the data."""
    std = layer.weight.moments.std
    assert std is not None
    low, high = _times(kept, layer.fan_in * std * std)
    return low * layer.inside, high


def _scatter(chain: Chain) -> list[Bounds]:
    """What most nets have in proportion to the mean over nets, layer by layer: lengths are nearly log-normal with mean
    -beta / 2 and variance beta, which grows with depth over width (Hanin & Nica 2018, arXiv:1812.05994); bounded
    activations keep them together."""
    if chain.activation in BOUNDED:
        return [(1.0, 1.0)] * len(chain.layers)
    widths, slope = [layer.units for layer in chain.layers], SLOPES.get(chain.activation, 0.0)
    laws = [log_normal(widths[:depth], slope) for depth in range(len(widths))]
    return [(math.exp(mean - math.sqrt(var)), math.exp(max(0.0, mean + math.sqrt(var)))) for mean, var in laws]


def _gradients(chain: Chain, variances: list[Bounds]) -> list[Bounds]:
    found: list[Bounds] = [(1.0, 1.0)]
    for depth in range(len(chain.layers) - 1, 0, -1):
        layer, before = chain.layers[depth], chain.layers[depth - 1]
        slopes = _pooled_slopes(chain.activation, layer.pool, _shift(before), variances[depth - 1])
        low, high = _scaled(layer, slopes)
        found.append((found[-1][0] * low, found[-1][1] * high))
    return found[::-1]


def _pooled(activation: str, pool: Pool, shift: float, variances: Bounds) -> Bounds:
    """``E[a^2]`` of what comes out of activation and pool."""
    found = []
    for v in variances:
        alike = expectation(activation, "square", shift, v)
        found.append(alike)
        if pool.kind == "max":
            found.append(expectation(activation, "square", shift, v, pool.positions))
        if pool.kind == "avg":
            middle = expectation(activation, "value", shift, v) ** 2
            found.append(middle + (alike - middle) / pool.positions)
    return min(found), max(found)


def _pooled_slopes(activation: str, pool: Pool, shift: float, variances: Bounds) -> Bounds:
    """``E[f'^2]``, as far as a pool lets the squared norm of a gradient pass: a mean over k positions leaves 1/k."""
    found = [expectation(activation, "slope", shift, v) for v in variances]
    if pool.kind == "max":
        found += [expectation(activation, "slope", shift, v, pool.positions) for v in variances]
    share = pool.positions if pool.kind == "avg" else 1
    return min(found) / share, max(found) / share
