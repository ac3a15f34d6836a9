"""What theory expects where weights are not centred at 0: units then share a part that grows with the fan.

With ``E[w] = m`` every unit of a layer gets ``n m E[a]`` of its n inputs a, a number of its own for every example, and
around it the units differ as in ``winit_cli.lint.prediction``.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from winit_cli.lint.chain import Chain
from winit_cli.lint.expectation import LARGEST, expectation
from winit_cli.lint.prediction import Prediction, bias_of, flat

BEYOND = math.sqrt(LARGEST)


def predict_shifted(chain: Chain, square: float, means: Sequence[float]) -> Prediction:
    """The means over examples with these means; their mean square is that of all inputs."""
    paths = [list(_path(chain, mean, square)) for mean in means]
    layers = list(zip(*paths, strict=True))
    grown = [statistics.mean(shift**2 + v for shift, v in layer) / square for layer in layers]
    shares = [
        statistics.mean(flat(chain, layer, *law) for law in laws)
        for layer, laws in zip(chain.layers, layers, strict=True)
    ]
    return Prediction(tuple((one, one) for one in grown), tuple(shares), (), ((1.0, 1.0),) * len(grown))


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
