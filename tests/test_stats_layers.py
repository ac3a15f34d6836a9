"""Means by layer, against the interval of one sample; exponents of the width."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pandas import DataFrame

from winit_cli.stats import layer_means, mean_interval, width_slopes

COLUMNS = ["label", "seed", "layer", "depth", "metric", "value"]


def test_means_are_those_of_one_sample_each() -> None:
    draw = np.random.default_rng(0)
    rows = [
        (label, seed, layer, depth, metric, float(draw.lognormal()))
        for label in ("b", "a")
        for seed in range(5)
        for depth, layer in enumerate(("layers.0", "head"), 1)
        for metric in ("pre_mean_square", "grad_norm")
    ]
    frame = DataFrame(rows, columns=COLUMNS)
    found = layer_means(frame)
    assert list(found.columns) == ["label", "layer", "depth", "metric", "n", "mean", "ci_low", "ci_high"]
    assert list(found["label"]) == ["b"] * 4 + ["a"] * 4
    for row in found.itertuples():
        mine = frame[(frame["label"] == row.label) & (frame["layer"] == row.layer) & (frame["metric"] == row.metric)]
        assert row.n == 5
        assert row.mean == pytest.approx(mine["value"].mean(), rel=1e-12)
        assert (row.ci_low, row.ci_high) == pytest.approx(mean_interval(mine["value"]), rel=1e-12)


def test_what_is_missing_is_left_out() -> None:
    values = {"a": [1.0, math.nan, 3.0], "b": [math.inf, math.nan, math.nan], "c": [0.1, 0.1, 0.1], "d": [2.0]}
    rows = [("x", seed, layer, 1, "m", value) for layer, some in values.items() for seed, value in enumerate(some)]
    found = layer_means(DataFrame(rows, columns=COLUMNS)).set_index("layer")
    assert list(found["n"]) == [2, 0, 3, 1]
    assert found.loc["a", "mean"] == 2 and found.loc["a", "ci_low"] == pytest.approx(2 - 12.706, abs=1e-3)
    assert math.isnan(found.loc["b", "mean"])
    assert tuple(found.loc["c", ["mean", "ci_low", "ci_high"]]) == (0.1, 0.1, 0.1)
    assert found.loc["d", "mean"] == 2 and math.isnan(found.loc["d", "ci_low"])


def test_a_module_of_one_s_own_has_no_seed() -> None:
    found = layer_means(DataFrame([("Net", None, "0", 1, "grad_norm", 2.0)], columns=COLUMNS))
    assert list(found["mean"]) == [2.0]


def test_the_exponent_of_the_width() -> None:
    sizes = {
        "power": lambda width: 3 * width**-0.5,
        "still": lambda width: 0.0,
        "too far": lambda width: math.inf if width == 256 else 1.0,
        "level": lambda width: 2.0,
    }
    rows = [
        ("x", width, seed, 5, layer, 1, size(width) * (1 + 0.1 * seed))
        for layer, size in sizes.items()
        for width in (64, 128, 256)
        for seed in (0, 1)
    ]
    found = width_slopes(DataFrame(rows, columns=["label", "width", "seed", "step", "layer", "depth", "value"]))
    slopes = dict(zip(found["layer"], found["slope"], strict=True))
    assert slopes["power"] == pytest.approx(-0.5)
    assert math.isnan(slopes["still"]) and math.isinf(slopes["too far"])
    assert slopes["level"] == pytest.approx(0, abs=1e-12)
