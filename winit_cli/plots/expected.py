"""What theory says of the labels of a probe, from their tables."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

from winit_cli.plots.signals import Signals
from winit_cli.stats import split_label, varied_model
from winit_cli.theory import prediction
from winit_cli.theory.prediction import Scales, Written


@dataclass(frozen=True)
class Expected:
    """Of one label: its activation, the scales of its layers, and the mean square expected in each; the head last."""

    activation: str
    layers: list[Scales]
    squares: list[float]

    @property
    def gradients(self) -> list[float]:
        """Norms of the gradient by layer in proportion to the head's."""
        return prediction.predicted_gradients(self.activation, self.layers, self.squares)

    def correlations(self, first: float) -> list[float]:
        """By layer, from that of the first on."""
        return prediction.predicted_correlations(self.activation, self.layers, self.squares, first)

    def next_correlation(self, c: float) -> float:
        """What the last hidden layer makes of a correlation in the one before it."""
        return _next(self.activation, self.layers[-2], self.squares[-3], c)


@lru_cache(maxsize=1024)
def _next(activation: str, layer: Scales, q: float, c: float) -> float:
    return prediction.next_correlation(activation, layer, q, c)


def expected(signals: Signals, label: str) -> Expected | None:
    """What theory says of a label; None where it says nothing: for all but plain multilayer perceptrons, and where the
    mean of weights is not 0."""
    variant = split_label(label)[1]
    activation = prediction.plain_activation(varied_model(signals.config, variant))
    of_input = _of_input(signals, variant)
    paths = list(signals.of(label, "pre_mean_square")["layer"])
    mine = signals.init[signals.init["label"] == label].drop_duplicates("param")
    written = {str(row.param): cast(Written, row) for row in mine.itertuples()}
    layers = prediction.network(paths, written) if activation and paths else None
    if activation is None or layers is None or math.isnan(of_input):
        return None
    return Expected(activation, layers, prediction.predicted_squares(activation, layers, of_input))


def _of_input(signals: Signals, variant: str) -> float:
    """The mean square of the input, which the labels of a variant share; NaN where none of them passes it on."""
    for label in signals.variants.get(variant, ()):
        square, gain = (signals.of(label, metric)["mean"] for metric in ("pre_mean_square", "layer_gain"))
        if len(square) and len(gain) and gain.iloc[0] > 0 and math.isfinite(square.iloc[0]):
            return float(square.iloc[0] / gain.iloc[0])
    return math.nan
