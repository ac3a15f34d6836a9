"""Finite widths, Jacobians and dead nets against simulated nets of numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from winit_cli.errors import UsageError
from winit_cli.theory.activations import Array
from winit_cli.theory.dead import born_dead
from winit_cli.theory.finite_width import log_normal, relative_variance, relu_log_moments, spread
from winit_cli.theory.jacobian import linear_gaussian_variance, squared_singular_values
from winit_cli.theory.maps import mean_power_of_slope
from winit_cli.theory.meanfield import chi_1, q_star


def test_spread_of_known_activations() -> None:
    assert (spread(), spread(1.0)) == (5, 2)


def test_relu_products_simulated() -> None:
    n, layers, nets = 16, 4, 4000
    ratio = _relu_lengths(n, layers, nets, np.random.default_rng(0))
    log = np.log(ratio[ratio > 0])
    mean, variance = relu_log_moments([n] * layers)
    assert abs(log.mean() - mean) < 3 * math.sqrt(variance / nets)
    assert abs(log.var() - variance) < 3 * float(np.std((log - log.mean()) ** 2)) / math.sqrt(nets)
    assert abs(ratio.mean() - 1) < 3 * math.sqrt(relative_variance([n] * layers) / nets)
    squares = ratio**2
    wanted = relative_variance([n] * layers) + 1
    assert abs(squares.mean() - wanted) < 3 * float(squares.std()) / math.sqrt(nets)


def test_wide_relu_products_are_log_normal() -> None:
    """Hanin & Nica 2018: the variance of the logarithm is the sum of 5 / n."""
    assert log_normal([100, 200]) == (pytest.approx(-0.0375), pytest.approx(0.075))
    for n in (500, 1000):
        mean, variance = relu_log_moments([n] * 10)
        assert (mean, variance) == (pytest.approx(-25 / n, rel=12 / n), pytest.approx(50 / n, rel=12 / n))
    assert relative_variance([10**6] * 1000) == pytest.approx(math.expm1(5e-3), rel=1e-4)


@pytest.mark.parametrize(
    ("activation", "sigma_w2", "orthogonal", "variance"),
    [("linear", 1, False, 7), ("linear", 1, True, 0), ("relu", 2, False, 14), ("relu", 2, True, 7)],
)
def test_jacobians_of_seven_critical_layers(
    activation: str, sigma_w2: float, orthogonal: bool, variance: float
) -> None:
    mean, found = squared_singular_values(activation, sigma_w2, 1.0, 7, orthogonal=orthogonal)
    assert (mean, found) == (pytest.approx(1), pytest.approx(variance, abs=1e-9))


@pytest.mark.parametrize("orthogonal", [False, True])
def test_jacobians_of_a_tanh_net_simulated(orthogonal: bool) -> None:
    """Away from critical, at q*: mean and variance over the spectrum of each net."""
    n, layers, w, b = 100, 3, 1.5, 0.1
    q = q_star("tanh", w, b)
    assert q is not None
    rng = np.random.default_rng(2)
    moments = np.array([_jacobian_moments(rng, n, layers, w, b, q, orthogonal) for _ in range(40)])
    mean, variance = squared_singular_values("tanh", w, q, layers, orthogonal=orthogonal)
    errors = moments.std(axis=0, ddof=1) / math.sqrt(len(moments))
    assert (np.abs(moments.mean(axis=0) - [mean, variance]) < 3 * errors).all()
    assert mean == pytest.approx((chi_1("tanh", w, b) or 0) ** layers)


def test_jacobians_of_gaussian_linear_nets_simulated() -> None:
    n, layers, rng, found = 40, 6, np.random.default_rng(3), []
    for _ in range(150):
        j = np.eye(n)
        for _ in range(layers):
            j = rng.normal(0, n**-0.5, (n, n)) @ j
        found.append(_variance(j))
    wanted = linear_gaussian_variance(layers, n)
    assert abs(np.mean(found) - wanted) < 3 * np.std(found, ddof=1) / math.sqrt(len(found))
    assert linear_gaussian_variance(layers, 10**7) == pytest.approx(layers, rel=1e-5)
    assert linear_gaussian_variance(0, 5) == 0


def test_relu_jacobians_simulated() -> None:
    n, layers, rng = 300, 4, np.random.default_rng(4)
    for orthogonal, wanted in ((False, 8), (True, 4)):
        found = [_relu_jacobian_variance(rng, n, layers, orthogonal) for _ in range(6)]
        assert np.mean(found) == pytest.approx(wanted, rel=0.12)


def test_slopes_to_the_fourth() -> None:
    assert mean_power_of_slope("relu", 3.0, 4) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("width", "depth", "p"), [(1, 1, 0.5), (2, 10, 1 - 0.75**10), (3, 1, 1 / 8), (2000, 7, 0.0), (60, 8, 2**-57)]
)
def test_born_dead(width: int, depth: int, p: float) -> None:
    assert born_dead(width, depth) == pytest.approx(p, rel=1e-14, abs=0)


def test_born_dead_simulated() -> None:
    nets, n, layers = 20_000, 3, 6
    ratio = _relu_lengths(n, layers, nets, np.random.default_rng(5))
    p = born_dead(n, layers)
    assert abs(np.mean(ratio == 0) - p) < 3 * math.sqrt(p * (1 - p) / nets)


@pytest.mark.parametrize(("width", "depth"), [(0, 1), (1, 0), (-3, 2), (10**400, 1), (1, 10**400)])
def test_sizes_out_of_range(width: int, depth: int) -> None:
    with pytest.raises(UsageError, match=r"(width|depth) must be from 1 to 2147483647, got"):
        born_dead(width, depth)


def _relu_lengths(n: int, layers: int, nets: int, rng: np.random.Generator) -> Array:
    """``|x_L|^2 / |x_0|^2`` of so many nets."""
    x = rng.normal(size=(nets, n))
    start = (x**2).sum(axis=1)
    for _ in range(layers):
        x = np.maximum(np.einsum("kij,kj->ki", rng.normal(0, math.sqrt(2 / n), (nets, n, n)), x), 0)
    lengths: Array = (x**2).sum(axis=1) / start
    return lengths


def _weights(rng: np.random.Generator, n: int, w: float, orthogonal: bool) -> Array:
    drawn: Array = rng.normal(size=(n, n))
    if not orthogonal:
        return drawn * math.sqrt(w / n)
    q, r = np.linalg.qr(drawn)
    rotated: Array = q * np.sign(np.diag(r)) * math.sqrt(w)
    return rotated


def _jacobian_moments(
    rng: np.random.Generator, n: int, layers: int, w: float, b: float, q: float, orthogonal: bool
) -> tuple[float, float]:
    """An input whose first pre-activations have mean square q*, as those of all layers then."""
    x = rng.normal(size=n)
    x *= math.sqrt((q - b) / w * n) / np.linalg.norm(x)
    j = np.eye(n)
    for _ in range(layers):
        weights = _weights(rng, n, w, orthogonal)
        h = weights @ x + rng.normal(0, math.sqrt(b), n)
        x, j = np.tanh(h), (1 - np.tanh(h)[:, None] ** 2) * (weights @ j)
    return float((j**2).sum() / n), _variance(j)


def _relu_jacobian_variance(rng: np.random.Generator, n: int, layers: int, orthogonal: bool) -> float:
    x, j = rng.normal(size=n), np.eye(n)
    for _ in range(layers):
        weights = _weights(rng, n, 2, orthogonal)
        h = weights @ x
        x, j = np.maximum(h, 0), (h > 0)[:, None] * (weights @ j)
    return _variance(j)


def _variance(j: Array) -> float:
    """The variance of the squared singular values of one matrix."""
    gram = j @ j.T
    return float((gram**2).sum() / len(j) - (np.trace(gram) / len(j)) ** 2)
