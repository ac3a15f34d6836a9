"""The medians of a label's measurements along its layers."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from winit_cli.criteria import EVEN
from winit_cli.probe.advice import IN_BRANCHES
from winit_cli.probe.measured import Measured, Place

SIZES = ("pre_mean_square", "grad_norm")  # lags too: what is not a number there has overflowed


@dataclass(frozen=True)
class Chain:
    """Medians over seeds along the layers, the head last; sizes are root mean squares. ``into_head`` is the mean square
    of what the head is given."""

    places: tuple[Place, ...]
    input_size: float
    into_head: float
    medians: dict[tuple[int, str], float]

    @property
    def hidden(self) -> range:
        """Depths of the hidden layers."""
        return range(1, len(self.places))

    @property
    def depths(self) -> range:
        """Depths of all layers."""
        return range(1, len(self.places) + 1)

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

    def change(self, depth: int) -> float:
        """The size at a depth in proportion to the input's."""
        return ratio(self.size(depth), self.size(self.start))

    def gradient(self, depth: int) -> float:
        """Norm of the loss's gradient at a layer in proportion to that at the last one; NaN where it was not seen."""
        return ratio(self.of(depth, "grad_norm"), self.of(self.last, "grad_norm"))

    @property
    def first(self) -> int:
        """The first layer with a gradient that was seen: there is none before what is frozen or detached."""
        return next((depth for depth in self.depths if not math.isnan(self.of(depth, "grad_norm"))), 1)

    @property
    def last(self) -> int:
        """The last layer with a gradient that is not 0; the head, but where the loss is about another output."""
        there = (depth for depth in reversed(self.depths) if self.of(depth, "grad_norm") > 0)
        return next(there, self.head)

    @property
    def start(self) -> int:
        """What sizes are compared with: the input, or the first layer where that has none, or is zero."""
        return 0 if self.input_size > 0 else 1

    @property
    def change_around(self) -> float:
        """The size of what the head is given in proportion to the input's, where that is more than the last hidden
        layer makes, as a residual connection gives it; else 0."""
        made = [self.of(self.head - 1, metric) for metric in ("pre_mean_square", "act_mean_square")]
        is_more = self.into_head > EVEN * max(square for square in (0.0, *made) if not math.isnan(square))
        return ratio(math.sqrt(self.into_head), self.size(self.start)) if is_more else 0.0

    def place(self, depth: int) -> Place:
        """The layer at a depth."""
        return self.places[depth - 1]

    @property
    def activation(self) -> str:
        """The activation of most hidden layers, empty where none was seen; or that there are residual branches."""
        if any(place.is_in_branch for place in self.places):
            return IN_BRANCHES
        names = Counter(self.place(depth).activation for depth in self.hidden)
        return names.most_common(1)[0][0] if names else ""


def chain_of(measured: Sequence[Measured]) -> Chain:
    """The medians over the seeds of one label."""
    first = measured[0]
    values: dict[tuple[int, str], list[float]] = {}
    for one in measured:
        by_path = {place.path: depth for depth, place in enumerate(one.places, 1)}
        for row in one.rows:
            if by_path.get(row.layer) == row.depth:
                overflowed = row.metric.startswith(SIZES) and math.isnan(row.value)
                values.setdefault((row.depth, row.metric), []).append(math.inf if overflowed else row.value)
    medians = {key: _median(numbers) for key, numbers in values.items()}
    input_size = math.sqrt(_median([one.input_mean_square for one in measured]))
    return Chain(first.places, input_size, _median([one.into_head for one in measured]), medians)


def _median(numbers: Sequence[float]) -> float:
    """Of the numbers that there are; NaN without one."""
    there = [number for number in numbers if not math.isnan(number)]
    return statistics.median(there) if there else math.nan


def ratio(a: float, b: float) -> float:
    """a / b; NaN where b is 0, or both are infinite."""
    return a / b if b else math.nan
