"""What the measurements of one label say: healthy, or what is ill, where, by which number, and the cure."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from winit_cli.probe import advice
from winit_cli.probe.measure import Measured, Place

VERDICTS = ("healthy", "vanishing", "exploding", "dead", "saturated", "symmetric", "chaotic")

# a learning rate that suits one end of the network is a thousand times too small or large at the other
FADED = 1e-3
BACKWARD_GROWN = 1e3
# less is borne forward than backward: outputs in the hundreds saturate a cross-entropy and square in a squared error
FORWARD_GROWN = 1e2
# where examples are nearly parallel, as in deep relu networks, up to half of the units are silent for all of them by
# chance of their sign, and the network learns; nine in ten leave a tenth of the layer
DEAD = 0.9
# half of all slopes below a seventeenth: a gradient is cut more by saturation than it can be by one more layer
SATURATED = 0.5
ONE = 1  # distinct unit, and rank of the gradient, that make a layer one unit for good


class Verdict(NamedTuple):
    """``value`` is the median over seeds of the layer's metric; of grad_norm in proportion to the head's."""

    verdict: str
    layer: str
    metric: str
    value: float | None
    advice: str


@dataclass(frozen=True)
class Chain:
    """Medians over seeds along the layers, the head last. ``forward`` and ``backward`` are the factors on the size of
    the signal from the layer before, and on that of the gradient from the layer behind."""

    places: tuple[Place, ...]
    input_size: float
    medians: dict[tuple[int, str], float]

    @property
    def hidden(self) -> range:
        """Depths of the hidden layers."""
        return range(1, len(self.places))

    @property
    def head(self) -> int:
        """Depth of the head."""
        return len(self.places)

    def of(self, depth: int, metric: str) -> float:
        """The median of a layer's metric; NaN where it was not measured."""
        return self.medians.get((depth, metric), math.nan)

    def size(self, depth: int) -> float:
        """Root mean square of the pre-activations; of the input at depth 0."""
        return math.sqrt(self.of(depth, "pre_mean_square")) if depth else self.input_size

    def gradient(self, depth: int) -> float:
        """Norm of the loss's gradient at a layer in proportion to that at the head."""
        return _ratio(self.of(depth, "grad_norm"), self.of(self.head, "grad_norm"))

    @property
    def start(self) -> int:
        """What sizes are compared with: the input, or the first layer where that has none, or is zero."""
        return 0 if self.input_size > 0 else 1

    def place(self, depth: int) -> Place:
        """The layer at a depth."""
        return self.places[depth - 1]

    @property
    def activation(self) -> str:
        """The activation of most hidden layers; empty where none was seen."""
        names = Counter(self.place(depth).activation for depth in self.hidden)
        return names.most_common(1)[0][0] if names else ""


def judge(measured: Sequence[Measured]) -> Verdict:
    """The verdict on one label from its seeds."""
    chain = _chain(measured)
    for ill in (_symmetric, _not_finite, _dead, _saturated, _exploding, _vanishing, _vanishing_gradient, _chaotic):
        found = ill(chain)
        if found is not None:
            return found
    return Verdict("healthy", "", "", None, advice.HEALTHY)


def _chain(measured: Sequence[Measured]) -> Chain:
    first = measured[0]
    values: dict[tuple[int, str], list[float]] = {}
    for one in measured:
        by_path = {place.path: depth for depth, place in enumerate(one.places, 1)}
        for row in one.rows:
            if by_path.get(row.layer) == row.depth:
                overflowed = row.metric == "pre_mean_square" and math.isnan(row.value)
                values.setdefault((row.depth, row.metric), []).append(math.inf if overflowed else row.value)
    medians = {key: _median(numbers) for key, numbers in values.items()}
    return Chain(first.places, math.sqrt(_median([one.input_mean_square for one in measured])), medians)


def _median(numbers: Sequence[float]) -> float:
    """Of the numbers that there are; NaN without one."""
    there = [number for number in numbers if not math.isnan(number)]
    return statistics.median(there) if there else math.nan


def _ratio(a: float, b: float) -> float:
    return a / b if b else math.nan


def _symmetric(chain: Chain) -> Verdict | None:
    """All units of a hidden layer are equal and are updated alike."""
    for depth in chain.hidden:
        place, rank = chain.place(depth), chain.of(depth, "gradient_rank")
        if place.units > 1 and chain.of(depth, "distinct_units") <= ONE and not rank > ONE:
            text = advice.symmetric(place.units, place.path)
            return Verdict("symmetric", place.path, "distinct_units", chain.of(depth, "distinct_units"), text)
    return None


def _not_finite(chain: Chain) -> Verdict | None:
    for depth in range(1, chain.head + 1):
        square = chain.of(depth, "pre_mean_square")
        if not math.isfinite(square):
            text = advice.not_finite(depth, chain.activation)
            return Verdict("exploding", chain.place(depth).path, "pre_mean_square", square, text)
    return None


def _dead(chain: Chain) -> Verdict | None:
    for depth in chain.hidden:
        share = chain.of(depth, "dead_fraction")
        if share >= DEAD:
            place = chain.place(depth)
            text = advice.dead(share, place.path, place.activation or chain.activation or "relu")
            return Verdict("dead", place.path, "dead_fraction", share, text)
    return None


def _saturated(chain: Chain) -> Verdict | None:
    for depth in chain.hidden:
        share = chain.of(depth, "saturated_fraction")
        if share >= SATURATED:
            place = chain.place(depth)
            text = advice.saturated(share, place.path, place.activation, chain.size(depth))
            return Verdict("saturated", place.path, "saturated_fraction", share, text)
    return None


def _exploding(chain: Chain) -> Verdict | None:
    sizes = {depth: _ratio(chain.size(depth), chain.size(chain.start)) for depth in range(1, chain.head + 1)}
    largest = max(sizes, key=lambda depth: -1 if math.isnan(sizes[depth]) else sizes[depth])
    if not sizes[largest] > FORWARD_GROWN:
        return None
    return _forward(chain, "exploding", largest, sizes[largest])


def _vanishing(chain: Chain) -> Verdict | None:
    last = chain.head - 1
    if last <= chain.start or not _ratio(chain.size(last), chain.size(chain.start)) < FADED:
        return None
    return _forward(chain, "vanishing", last, _ratio(chain.size(last), chain.size(chain.start)))


def _forward(chain: Chain, verdict: str, end: int, change: float) -> Verdict:
    """The first layer whose factor is at least half of the mean one, in logarithms."""
    factors = {d: math.sqrt(chain.of(d, "layer_gain")) for d in range(chain.start + 1, end + 1)}
    first = _first(factors, change ** (1 / len(factors)))
    steady = _mean_factor(chain.size(end), chain.size(first - 1), end - first + 1)
    text = advice.forward(steady, first, end, change, chain.gradient(1), chain.activation)
    return Verdict(verdict, chain.place(first).path, "layer_gain", chain.of(first, "layer_gain"), text)


def _first(factors: dict[int, float], mean: float) -> int:
    """The first depth whose factor is as far from 1 as the root of the mean one, on the same side."""
    edge = math.sqrt(mean)
    bad = (depth for depth, factor in factors.items() if (factor <= edge if mean < 1 else factor >= edge))
    return next(bad, min(factors))


def _mean_factor(end: float, begin: float, steps: int) -> float:
    return (end / begin) ** (1 / steps) if begin > 0 else math.nan


def _vanishing_gradient(chain: Chain) -> Verdict | None:
    if _head_is_zero(chain):
        return None
    return _backward(chain, "vanishing") if chain.head > 1 and chain.gradient(1) < FADED else None


def _head_is_zero(chain: Chain) -> bool:
    """Whether hidden layers get their first gradient after the head's first update, as some want it."""
    return chain.of(chain.head, "pre_mean_square") == 0 and chain.gradient(chain.head - 1) == 0


def _chaotic(chain: Chain) -> Verdict | None:
    """The signal is bounded, but what tells inputs apart grows: so does the gradient on its way back."""
    return _backward(chain, "chaotic") if chain.gradient(1) > BACKWARD_GROWN else None


def _backward(chain: Chain, verdict: str) -> Verdict:
    change = chain.gradient(1)
    mean = change ** (1 / len(chain.hidden))
    factors = {d: _ratio(chain.of(d, "grad_norm"), chain.of(d + 1, "grad_norm")) for d in chain.hidden}
    first = _first(factors, mean)
    value = chain.gradient(first)
    text = advice.backward(mean, len(chain.hidden), change, chain.activation)
    return Verdict(verdict, chain.place(first).path, "grad_norm", value, text)
