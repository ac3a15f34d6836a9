"""How weights and activations are distributed in every layer: small multiples, a row for each label."""

from __future__ import annotations

from functools import partial

import numpy as np
from matplotlib.figure import Figure
from pandas import DataFrame

from winit_cli.numerals import short
from winit_cli.plots.boxes import Box, box, panels
from winit_cli.plots.signals import Signals

LAYERS = 8  # boxes in a row; of more layers some are drawn, from the first to the last
WIDTH = 1.05


def figure(signals: Signals, quantity: str) -> Figure | None:
    """Histograms of a quantity, each over the range of its own layer; None where there are none."""
    frame = signals.histograms[signals.histograms["quantity"] == quantity]
    labels = [label for label in signals.labels if (frame["label"] == label).any()]
    if not labels:
        return None
    rows = {label: _layers(frame[frame["label"] == label]) for label in labels}
    longest = max(rows.values(), key=len)
    names = [longest[place][0] for place in _chosen(len(longest))]
    boxes = {label: [_box(layers[place][1]) for place in _chosen(len(layers))] for label, layers in rows.items()}
    columns = names if len({tuple(name for name, _ in row) for row in rows.values()}) == 1 else [""] * len(names)
    return panels(signals, boxes, columns, WIDTH)


weights = partial(figure, quantity="weight")
pre_activations = partial(figure, quantity="pre_activation")
activations = partial(figure, quantity="activation")


def _layers(frame: DataFrame) -> list[tuple[str, DataFrame]]:
    """The histograms of one label in the order of its layers, with their names."""
    found = frame.groupby(["depth", "layer"], sort=True)
    return [(str(layer), rows) for (_, layer), rows in found]


def _chosen(count: int) -> list[int]:
    """At most LAYERS of so many places, evenly spread, the first and the last among them."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, LAYERS))})


def _box(frame: DataFrame) -> Box:
    low, high = float(frame["low"].min()), float(frame["high"].max())
    if low == high:
        return box(frame, f"all {short(low)}")
    if abs(low + high) < 0.25 * (high - low):
        return box(frame, f"± {short(max(-low, high))}")
    return box(frame, f"{short(low)} to {short(high)}")
