"""What theory expects where weights are not centred at 0: units then share a part that grows with the fan.

With ``E[w] = m`` every unit of a layer gets ``n m E[a]`` of its n inputs a, a number of its own for every example, and
around it the units differ as in ``winit_cli.lint.prediction``.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

from winit_cli.lint.chain import Chain
from winit_cli.lint.expectation import LARGEST, expectation, saturated
from winit_cli.lint.prediction import Prediction, bias_of
from winit_cli.lint.subject import Label

EXAMPLES = 9  # whose means are spread over those of all
BEYOND = math.sqrt(LARGEST)


def predict_shifted(label: Label, chain: Chain) -> Prediction | None:
    """The means over examples; ``None`` where the weights of a layer have no known law, or no spread."""
    moments = [layer.weight.moments for layer in chain.layers]
    known = all(one.mean is not None and one.std for one in moments)
    if not known or any(None in bias_of(layer) for layer in chain.layers) or not 0 < label.input_square < math.inf:
        return None
    means = label.input_means(EXAMPLES)
    paths = [list(_path(chain, mean, label.input_square)) for mean in means]
    layers = list(zip(*paths, strict=True))
    squares = [statistics.mean(shift**2 + v for shift, v in layer) / label.input_square for layer in layers]
    shares = [statistics.mean(saturated(chain.activation, *law) for law in layer) for layer in layers]
    return Prediction(tuple((square, square) for square in squares), tuple(shares), ())


def _path(chain: Chain, mean: float, square: float) -> Iterator[tuple[float, float]]:
    """Shift and variance of each layer's pre-activations for one example."""
    for layer in chain.layers:
        weight, (bias_mean, bias_std) = layer.weight.moments, bias_of(layer)
        assert weight.mean is not None and weight.std is not None
        n = layer.fan_in * layer.inside
        shift = max(-BEYOND, min(n * weight.mean * mean + bias_mean, BEYOND))
        variance = min(n * weight.std**2 * square + bias_std**2, LARGEST)
        yield shift, variance
        mean = expectation(chain.activation, "value", shift, variance)
        square = expectation(chain.activation, "square", shift, variance)
