"""Tables of a probe that stress its figures: no networks, no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from pandas import DataFrame

from winit_cli.plots.signals import Signals

PROBE = ["label", "seed", "layer", "depth", "metric", "value"]
VERDICTS = ["label", "verdict", "layer", "metric", "value", "advice"]
HISTOGRAMS = ["label", "seed", "layer", "depth", "quantity", "low", "high", "count"]
SCAN = ["label", "depth", "width", "sigma_w", "seed", "metric", "value"]
COORDINATE = ["label", "width", "seed", "step", "layer", "depth", "value"]
KINDS = ["healthy", "vanishing", "exploding", "dead", "saturated", "symmetric", "chaotic"]
GAINS = (1.0, 0.5, 3.0, 0.0, 0.17, 1.2)  # on the mean square, by label
WIDTH = 100


def make_signals(
    labels: list[str], *, layers: int = 4, seeds: int = 3, model: str = "mlp", gates: tuple[str, ...] = ()
) -> Signals:
    """Labels whose mean square changes by GAINS in a layer; the fourth of six is all zeros."""
    rows: list[list[Any]] = []
    init: list[list[Any]] = []
    verdicts: list[list[Any]] = []
    histograms: list[list[Any]] = []
    names = [*(f"layers.{depth}" for depth in range(layers - 1)), "head"]
    for index, label in enumerate(labels):
        draw, gain = np.random.default_rng(index), GAINS[index % len(GAINS)]
        kind = KINDS[index % len(KINDS)]
        where = "" if kind == "healthy" else names[min(1, layers - 1)]
        number = None if kind == "healthy" else 0.17
        verdicts.append([label, kind, where, "layer_gain" if where else "", number, "advice"])
        for seed in range(seeds):
            for depth, name in enumerate(names, 1):
                noise = float(draw.lognormal(0, 0.2))
                values = {
                    "pre_mean_square": gain**depth * noise,
                    "layer_gain": gain * noise if depth == 1 else gain,
                    "correlation": 1 - 0.8**depth if gain else float("nan"),
                    "grad_norm": 0.1 * gain ** ((layers - depth) / 2) * noise,
                }
                rows += [[label, seed, name, depth, metric, value] for metric, value in values.items()]
                rows.append([label, seed, f"{name}.weight", depth, "grad_norm", 0.1])
        for depth, name in enumerate(names, 1):
            std = (2 * gain / WIDTH) ** 0.5
            init.append([label, 0, f"{name}.weight", f"{WIDTH}x{WIDTH}", WIDTH, 0.0, std, std])
            histograms += _bins(label, name, depth, "weight", draw.normal(0, std, 500))
            histograms += _bins(label, name, depth, "pre_activation", draw.normal(0, gain**depth, 500))
            if name != "head":
                histograms += _bins(label, name, depth, "activation", np.maximum(draw.normal(0, gain**depth, 500), 0))
        for gate in gates:
            histograms += _bins(label, "rnn", 1, f"gate_{gate}", 1 / (1 + np.exp(-draw.normal(0, 1 + index, 300))))
        histograms += _bins(label, "head", layers, "jacobian_singular_value", gain**layers * draw.uniform(0.2, 2, 80))
    config = {"model": {"name": model, "activation": "relu", "norm": "none", "depth": layers - 1}, "vary": {}}
    columns = ["label", "seed", "param", "shape", "fan_in", "mean", "std", "expected_std"]
    return Signals(
        DataFrame(rows, columns=PROBE),
        DataFrame(verdicts, columns=VERDICTS),
        DataFrame(histograms, columns=HISTOGRAMS),
        DataFrame(init, columns=columns),
        config,
        labels,
    )


def _bins(label: str, layer: str, depth: int, quantity: str, values: np.ndarray) -> list[list[Any]]:
    key = [label, 0, layer, depth, quantity]
    if values.min() == values.max():
        return [[*key, values.min(), values.max(), len(values)]]
    counts, edges = np.histogram(values, 40)
    return [[*key, low, high, count] for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)]


def make_scan(
    labels: list[str],
    *,
    depths: tuple[int, ...] = (2, 10, 50),
    widths: tuple[int, ...] = (64,),
    sigma_w: tuple[float | None, ...] = (None,),
) -> DataFrame:
    """Cells whose gradient changes by 0.5 to 2 in a layer; the last label is all zeros."""
    rows: list[list[Any]] = []
    for index, label in enumerate(labels):
        for sigma in sigma_w:
            for depth in depths:
                for width in widths:
                    place, factor = [label, depth, width, sigma], 0.5 + 0.5 * index if sigma is None else sigma
                    ratio = 0.0 if index == len(labels) - 1 > 0 else float(min(factor**depth, 1e30))
                    values = {"pre_mean_square": ratio, "gradient_ratio": ratio, "correlation": 1 - 0.9**depth}
                    rows += [[*place, seed, name, value] for seed in (0, 1) for name, value in values.items()]
                    reach = [] if factor == 1 else [("trainable_depth", 6 / abs(np.log(factor)))]
                    expected = [("expected_gradient_ratio", ratio), ("expected_pre_mean_square", ratio), *reach]
                    rows += [[*place, None, name, value] for name, value in expected]
                    rows.append([*place, None, "verdict", KINDS[(index + depth) % len(KINDS)]])
    return DataFrame(rows, columns=SCAN)


def make_coordinates(labels: list[str], *, layers: int = 4, widths: tuple[int, ...] = (64, 128, 256)) -> DataFrame:
    """Layers whose change goes as width^-0.5, width^0, width^0.5, …; the last label does not change."""
    rows = [
        [label, width, 0, step, f"layers.{depth}", depth, 0.0 if index == len(labels) - 1 else width ** (depth / 2 - 1)]
        for index, label in enumerate(labels)
        for width in widths
        for step in range(3)
        for depth in range(1, layers + 1)
    ]
    return DataFrame(rows, columns=COORDINATE)
