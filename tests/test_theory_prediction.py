"""What theory expects of a network layer by layer: closed forms, and networks that are measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from small import plan_of
from torch import nn

from winit_cli.engine.initial import initialized
from winit_cli.plan import Trial
from winit_cli.probe.measured import Measured
from winit_cli.probe.quick import measure_quickly
from winit_cli.theory import propagation
from winit_cli.theory.prediction import (
    Scales,
    network,
    next_correlation,
    predicted_correlations,
    predicted_gradients,
    predicted_squares,
)

WIDE = """
name: wide
model: {name: mlp, width: 256, depth: 4}
data: {name: gaussian, features: 256, classes: 4, train_size: 128, test_size: 8}
schemes: [kaiming_normal, pytorch_default, orthogonal]
train: {steps: 1, batch_size: 64}
seeds: 16
"""


@dataclass
class Tensor:
    """A row of ``init.csv``."""

    shape: str
    fan_in: float | None
    mean: float
    std: float
    expected_std: float | None


def test_equal_layers_are_those_of_the_maps() -> None:
    layers = [Scales(1.5, 0.05)] * 6
    squares = predicted_squares("tanh", layers, 0.7)
    assert squares == pytest.approx(propagation.mean_squares("tanh", 1.5, 0.05, 1.5 * 0.7 + 0.05, 6), rel=1e-12)
    found = predicted_correlations("tanh", layers, squares, 0.3)
    assert found == pytest.approx(propagation.correlations("tanh", 1.5, 0.05, squares[0], 0.3, 6), rel=1e-9)


@pytest.mark.parametrize(("sigma_w2", "square", "gradient"), [(2.0, 1.0, 1.0), (1.0, 0.5, math.sqrt(0.5))])
def test_relu(sigma_w2: float, square: float, gradient: float) -> None:
    layers = [Scales(sigma_w2)] * 5
    squares = predicted_squares("relu", layers, 3.0)
    assert squares == pytest.approx([3 * sigma_w2 * square**depth for depth in range(5)])
    assert predicted_gradients("relu", layers, squares) == pytest.approx([gradient**depth for depth in (4, 3, 2, 1, 0)])


def test_layers_may_differ() -> None:
    layers = [Scales(4.0), Scales(2.0), Scales(0.5, 0.1)]
    squares = predicted_squares("relu", layers, 1.0)
    assert squares == pytest.approx([4, 4, 1.1])
    assert predicted_gradients("relu", layers, squares) == pytest.approx([0.5, 0.5, 1])


def test_no_signal_and_too_much_of_it() -> None:
    nothing = [Scales(0.0)] * 3
    assert predicted_squares("tanh", nothing, 1.0) == [0, 0, 0]
    assert predicted_gradients("tanh", nothing, [0, 0, 0]) == [0, 0, 1]
    assert np.isnan(predicted_correlations("relu", nothing, [0, 0, 0], 0.5)[1:]).all()
    large = [Scales(1e20)] * 4
    assert predicted_squares("gelu", large, 1.0)[-1] == math.inf
    assert math.isnan(predicted_gradients("gelu", large, predicted_squares("gelu", large, 1.0))[0])
    assert math.isnan(next_correlation("tanh", Scales(1.0), math.inf, 0.5))


def test_a_correlation_that_has_settled_stays() -> None:
    layers = [*[Scales(0.5, 0.05)] * 30, Scales(4.0)]
    squares = predicted_squares("tanh", layers, 1.0)
    found = predicted_correlations("tanh", layers, squares, 0.2)
    assert found[29] == pytest.approx(1, abs=1e-4)
    assert found[30] == pytest.approx(next_correlation("tanh", layers[30], squares[29], found[29]), rel=1e-12)


def test_scales_of_tensors() -> None:
    weight, bias = Tensor("20x50", 50, 0.001, 0.21, 0.2), Tensor("20", None, 0.0, 0.1, math.nan)
    assert network(["a"], {"a.weight": weight, "a.bias": bias}) == [Scales(50 * 0.2**2, pytest.approx(0.01))]
    assert network(["a"], {"a.weight": weight}) == [Scales(50 * 0.2**2, 0.0)]
    assert network(["b"], {"a.weight": weight}) is None
    shifted = Tensor("20x50", 50, 0.1, 0.2, 0.2)  # sixteen standard errors
    assert network(["a"], {"a.weight": shifted}) is None
    assert network(["a"], {"a.weight": weight, "a.bias": Tensor("20", None, 1.0, 0.0, 0.0)}) is None
    assert network(["a"], {"a.weight": Tensor("50", math.nan, 0.0, 0.2, 0.2)}) is None


def measured(trial: Trial) -> Measured:
    """On inputs of nearly equal length and nearly equal angles, as theory has them."""
    source = torch.Generator().manual_seed(trial.seed)
    shared, own = torch.randn(1, 256, generator=source), torch.randn(128, 256, generator=source)
    x, y = 0.3**0.5 * shared + 0.7**0.5 * own, torch.randint(4, (128,), generator=source)
    return measure_quickly(initialized(trial).model, x, y, nn.functional.cross_entropy)


def of_trial(trial: Trial) -> list[Scales]:
    records = {record.param: record for record in initialized(trial).records}
    found = network([*(f"layers.{depth}" for depth in range(4)), "head"], records)
    assert found is not None
    return found


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_measured_networks_are_within_three_standard_errors(activation: str) -> None:
    """Mean squares layer by layer, squared ratios of gradients, and correlations from the first layer on."""
    plan = plan_of(f"model.activation={activation}", text=WIDE)
    for label in plan.labels:
        trials = [trial for trial in plan.trials if trial.label == label]
        layers, found = of_trial(trials[0]), [measured(trial) for trial in trials]
        squares = predicted_squares(activation, layers, float(np.mean([one.input_mean_square for one in found])))
        gradients = predicted_gradients(activation, layers, squares)
        for depth in range(1, 6):
            assert within([one.value(depth, "pre_mean_square") for one in found], squares[depth - 1]), (label, depth)
            ratios = [(one.value(depth, "grad_norm") / one.value(5, "grad_norm")) ** 2 for one in found]
            assert depth == 5 or within(ratios, gradients[depth - 1] ** 2), (label, depth)
        first = float(np.mean([one.value(1, "correlation") for one in found]))
        alike = predicted_correlations(activation, layers, squares, first)
        for depth in range(2, 5):
            assert within([one.value(depth, "correlation") for one in found], alike[depth - 1]), (label, depth)


def within(values: list[float], expected: float) -> bool:
    """Orthogonal layers keep a square layer's input as long as it is, but for rounding."""
    rounding = 1e-6 * abs(expected)
    return bool(abs(np.mean(values) - expected) < 3 * np.std(values, ddof=1) / len(values) ** 0.5 + rounding)
