"""The closed forms of the sine, and what crelu's two outputs for every unit mean for the theory of relu."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from winit_cli.models import MODELS, Task
from winit_cli.rng import generator
from winit_cli.theory import sine
from winit_cli.theory.activations import ACTIVATIONS
from winit_cli.theory.critical import critical_point
from winit_cli.theory.derivatives import DERIVATIVES
from winit_cli.theory.gains import gain
from winit_cli.theory.jacobian import activation_spread
from winit_cli.theory.maps import kernel, mean_power_of_slope, mean_square, slope_kernel, variance_map, variance_slope
from winit_cli.theory.meanfield import c_star, chi_1, q_star, xi_c
from winit_cli.theory.propagation import gradient_factor

F, SLOPE = ACTIVATIONS["sine"], DERIVATIVES["sine"]
MEAN_SQUARES = (1e-5, 1e-3, 0.01, 0.5, 2.0)


def _mean(values: np.ndarray, z: np.ndarray) -> float:
    """By the trapezoid rule, which converges exponentially for such functions on a fine grid."""
    return float(np.trapezoid(values * np.exp(-z * z / 2) / math.sqrt(2 * math.pi), z))


@pytest.mark.parametrize("q", MEAN_SQUARES)
def test_the_means_are_those_of_a_fine_grid(q: float) -> None:
    z = np.linspace(-9, 9, 40_001)
    u = math.sqrt(q) * z
    assert mean_square("sine", q) == pytest.approx(_mean(F(u) ** 2, z), rel=1e-11)
    for power in (1, 2, 3, 4):
        wanted = _mean(SLOPE(u) ** power, z)
        assert mean_power_of_slope("sine", q, power) == pytest.approx(wanted, rel=1e-10, abs=1e-8), power
    assert variance_slope(q, "sine", 1.7) == pytest.approx(1.7 * _mean(z * F(u) * SLOPE(u), z) / math.sqrt(q), abs=1e-9)


@pytest.mark.parametrize("c", [-0.9, 0.0, 0.3, 0.999])
def test_the_kernels_are_those_of_a_fine_grid(c: float) -> None:
    z, q = np.linspace(-7, 7, 601), 0.004
    u, v = math.sqrt(q) * z[:, None], math.sqrt(q) * (c * z[:, None] + math.sqrt(1 - c * c) * z[None])
    weights = np.exp(-(z[:, None] ** 2 + z[None] ** 2) / 2) / (2 * math.pi) * (z[1] - z[0]) ** 2
    assert kernel("sine", q, c) == pytest.approx(float((F(u) * F(v) * weights).sum()), abs=1e-11)
    assert slope_kernel("sine", q, c) == pytest.approx(float((SLOPE(u) * SLOPE(v) * weights).sum()), abs=1e-8)
    assert kernel("sine", q, 1.0) == pytest.approx(sine.mean_square(q), rel=1e-14)


def test_the_fixed_points_of_a_siren() -> None:
    """Its weights have sigma_w^2 = 6 / (3 · 30^2): what enters the sines settles near variance 1, just in chaos."""
    q = q_star("sine", 2 / 900, 0)
    assert q is not None and variance_map(q, "sine", 2 / 900, 0) == pytest.approx(q, rel=1e-12)
    assert 900 * q == pytest.approx(0.7968, abs=1e-4)
    assert chi_1("sine", 2 / 900, 0) == pytest.approx(1.2032, abs=1e-4)
    correlation, depth = c_star("sine", 2 / 900, 0), xi_c("sine", 2 / 900, 0)
    assert correlation == pytest.approx(0, abs=1e-9) and depth is not None and depth > 0
    point = critical_point("sine", 0.0)
    assert point.sigma_w2 == pytest.approx(1 / 900, rel=1e-12) and point.q_star == 0


def test_crelu_has_the_means_of_relu_over_twice_the_units() -> None:
    assert gain("crelu") == pytest.approx(math.sqrt(2), rel=1e-8)
    assert critical_point("crelu", 0.0).sigma_w2 == 2
    assert c_star("crelu", 2.0, 0.0) == c_star("relu", 2.0, 0.0) == 1.0
    assert activation_spread("crelu", 1.0) == 0


def test_crelu_nets_keep_signal_and_gradient_as_predicted() -> None:
    """Critical: the mean squares of signal and gradient stay; forward over 2 W inputs, backward over W outputs."""
    width, depth = 300, 8
    model = MODELS["mlp"].build(Task((width,), 2), width=width, depth=depth, activation="crelu")
    source = generator("crelu")
    with torch.no_grad():
        for layer in model.layers:
            layer.weight.normal_(0, math.sqrt(2 / layer.in_features), generator=source)
            layer.bias.zero_()
    factor = gradient_factor("crelu", 2 / (2 * width), width)
    assert factor == pytest.approx(1)
    x = torch.randn(400, width, generator=source)
    sizes, hidden, kept = [], x, []
    for layer in model.layers:
        z = layer(hidden)
        z.retain_grad()
        kept.append(z)
        sizes.append(float(z.detach().square().mean()))
        hidden = model._function(z)
    assert hidden.shape == (400, 2 * width)
    (hidden * torch.randn(hidden.shape, generator=source)).sum().backward()
    gradients = [float(z.grad.square().mean()) for z in kept]  # type: ignore[union-attr]
    assert sizes[-1] / sizes[1] == pytest.approx(1, abs=0.25)
    assert gradients[0] / gradients[-1] == pytest.approx(1, abs=0.25)
