"""What schemes do to a signal, layer by layer: He's factors, PyTorch's default, and simulated layers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from winit_cli.schemes import SCHEMES
from winit_cli.theory.gains import gain
from winit_cli.theory.propagation import correlations, gradient_factor, layer_factor, mean_squares

N = 200


@pytest.mark.parametrize(("of_fan_in", "factor"), [(1, 0.5), (2, 1), (1 / 3, 1 / 6)])
def test_relu_without_biases(of_fan_in: float, factor: float) -> None:
    for q in (1e-3, 1, 50):
        assert layer_factor("relu", of_fan_in / N, N, q=q) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize(
    ("scheme", "options", "factor"),
    [
        ("kaiming_normal", {}, 1),
        ("kaiming_uniform", {"mode": "fan_out"}, 1),
        ("xavier_normal", {}, 0.5),
        ("lecun_uniform", {}, 0.5),
        ("orthogonal", {}, 0.5),
        ("normal", {"std": 0.1}, 1),
    ],
)
def test_schemes_on_a_square_relu_layer(scheme: str, options: dict[str, object], factor: float) -> None:
    row = SCHEMES[scheme]
    std = row.moments((N, N), **row.options(**options).model_dump()).std
    assert std is not None
    assert layer_factor("relu", std**2, N) == pytest.approx(factor, rel=1e-12)
    assert gradient_factor("relu", std**2, N) == pytest.approx(factor, rel=1e-12)


def test_gains_of_winits_own_keep_a_mean_square_of_one() -> None:
    for activation in ("gelu", "silu", "mish", "softsign"):
        assert layer_factor(activation, gain(activation) ** 2 / N, N) == pytest.approx(1, rel=1e-8)


def test_pytorchs_default_ends_at_two_fifths_of_a_unit() -> None:
    settled = mean_squares("relu", 1 / 3, 1 / (3 * N), 1.0, 30)[-1]
    assert settled * N == pytest.approx(0.4, rel=1e-9)
    assert layer_factor("relu", 1 / (3 * N), N, 1 / (3 * N), q=settled) == pytest.approx(1, rel=1e-9)


def test_pytorchs_default_simulated() -> None:
    rng = np.random.default_rng(0)
    bound = 1 / math.sqrt(N)
    ends = []
    for _ in range(40):
        h = rng.normal(size=N)
        for _ in range(8):
            h = rng.uniform(-bound, bound, (N, N)) @ np.maximum(h, 0) + rng.uniform(-bound, bound, N)
        ends.append(N * float(np.mean(h**2)))
    wanted = N * mean_squares("relu", 1 / 3, 1 / (3 * N), 1.0, 9)[-1]
    assert abs(np.mean(ends) - wanted) < 3 * np.std(ends, ddof=1) / math.sqrt(len(ends))


def test_a_wide_tanh_net_follows_the_maps() -> None:
    """Two inputs through 5 layers of 600 units; deviations are of the order 1 / sqrt(width)."""
    rng, n, w, b = np.random.default_rng(1), 600, 4.0, 0.1
    x = rng.normal(size=(n, 2)) @ np.linalg.cholesky([[1, 0.8], [0.8, 1]]).T
    h, measured = x, []
    for _ in range(5):
        measured.append((np.mean(h**2), np.mean(h[:, 0] * h[:, 1]) / np.mean(h**2)))
        h = rng.normal(0, math.sqrt(w / n), (n, n)) @ np.tanh(h) + rng.normal(0, math.sqrt(b), (n, 1))
    q = mean_squares("tanh", w, b, 1.0, 5)
    c = correlations("tanh", w, b, 1.0, 0.8, 5)
    np.testing.assert_allclose([m[0] for m in measured], q, rtol=0.15)
    np.testing.assert_allclose([m[1] for m in measured], c, atol=0.12)


def test_as_many_layers_as_asked_for() -> None:
    assert [len(mean_squares("tanh", 1, 0, 1.0, layers)) for layers in (0, 1, 4)] == [0, 1, 4]
    assert [len(correlations("tanh", 1, 0, 1.0, 0.5, layers)) for layers in (0, 1, 4)] == [0, 1, 4]
    assert correlations("relu", 2, 0, 1.0, 1.0, 3) == [1.0, 1.0, 1.0]
