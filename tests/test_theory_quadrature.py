"""Gaussian expectations: converged, and equal to exact kernels and to other quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import dblquad, quad
from scipy.special import erf

from winit_cli.theory import erf_kernel, scale_free
from winit_cli.theory.activations import ACTIVATIONS, Array, kinks
from winit_cli.theory.derivatives import DERIVATIVES
from winit_cli.theory.quadrature import mean, mean_of_product

SCALES = [1e-6, 0.3, 1.0, 4.0, 100.0, 1e4]
INTEGRATED = [name for name in ACTIVATIONS if name != "sine"]  # which has closed forms: tests/test_theory_sine.py
CORRELATIONS = [-1.0, -0.95, -0.3, 0.0, 0.2, 0.9, 0.999, 1 - 1e-9, 1.0]


@pytest.mark.parametrize("name", INTEGRATED)
def test_twice_as_many_panels_change_nothing(name: str) -> None:
    for f in (ACTIVATIONS[name], DERIVATIVES[name]):
        for s in SCALES:
            once, twice = (mean(lambda u, f=f: f(u) ** 2, s, kinks(name), splits=n) for n in (1, 2))  # type: ignore[misc]
            assert once == pytest.approx(twice, rel=1e-13)


@pytest.mark.parametrize(("s", "c"), [(0.01, 0.5), (1.0, 1 - 1e-7), (50.0, -0.9)])
@pytest.mark.parametrize("name", INTEGRATED)
def test_twice_as_many_panels_change_nothing_in_two_dimensions(name: str, s: float, c: float) -> None:
    for f in (ACTIVATIONS[name], DERIVATIVES[name]):
        once, twice = (mean_of_product(f, s, c, kinks(name), splits=n) for n in (1, 2))
        assert once == pytest.approx(twice, rel=1e-12)


def test_a_hundred_nodes_of_gauss_hermite_are_not_enough() -> None:
    """tanh at sigma_w = 4, sigma_b = 0.3: 2.256 for chi_1, where the truth is 2.367."""
    q = 12.6041495
    x, w = np.polynomial.hermite_e.hermegauss(100)
    naive = 16 * float((w * DERIVATIVES["tanh"](math.sqrt(q) * x) ** 2).sum()) / math.sqrt(2 * math.pi)
    truth = 16 * quad(lambda z: math.cosh(math.sqrt(q) * z) ** -4 * _normal(z), -10, 10, epsabs=1e-13, limit=200)[0]
    assert naive == pytest.approx(2.256, abs=0.001)
    assert truth == pytest.approx(2.367, abs=0.001)
    assert 16 * mean(lambda u: DERIVATIVES["tanh"](u) ** 2, math.sqrt(q)) == pytest.approx(truth, rel=1e-11)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "linear"])
@pytest.mark.parametrize("c", CORRELATIONS)
def test_scale_free_kernels_are_exact(name: str, c: float) -> None:
    slope = scale_free.SLOPES[name]
    for s in (1e-3, 1.0, 30.0):
        found = mean_of_product(ACTIVATIONS[name], s, c, kinks(name)) / s**2
        assert found == pytest.approx(scale_free.kernel(c, slope), rel=1e-12, abs=1e-14)
        slopes = mean_of_product(DERIVATIVES[name], s, c, kinks(name))
        assert slopes == pytest.approx(scale_free.slope_kernel(c, slope), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("c", CORRELATIONS)
def test_erf_kernel_is_exact(c: float) -> None:
    for s in (0.1, 1.0, 20.0):
        q = s * s
        assert mean_of_product(erf, s, c) == pytest.approx(erf_kernel.kernel(q, q, c * q), rel=1e-11, abs=1e-14)
        assert mean_of_product(_erf_slope, s, c) == pytest.approx(erf_kernel.slope_kernel(q, q, c * q), rel=1e-11)


def test_kernels_at_known_points() -> None:
    assert scale_free.kernel(1.0) == 0.5
    assert scale_free.kernel(0.0) == pytest.approx(1 / (2 * math.pi))
    assert scale_free.kernel(-1.0) == pytest.approx(0, abs=1e-16)
    assert scale_free.kernel(0.3, 1.0) == pytest.approx(0.3)
    assert scale_free.slope_kernel(0.0) == 0.25
    assert erf_kernel.kernel(1e9, 1e9, 1e9) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "gelu", "silu", "mish", "softplus"])
def test_a_smooth_product_equals_the_trapezoid_rule_on_a_grid(name: str) -> None:
    x = np.linspace(-9, 9, 361)
    weights = np.outer(_normals(x), _normals(x)) * (x[1] - x[0]) ** 2
    for f in (ACTIVATIONS[name], DERIVATIVES[name]):
        for s, c in ((0.7, 0.4), (1.5, -0.5), (2.0, 0.8)):
            u, v = s * x[:, None], s * (c * x[:, None] + math.sqrt(1 - c * c) * x[None])
            assert mean_of_product(f, s, c) == pytest.approx(float((f(u) * f(v) * weights).sum()), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", ["elu", "selu", "softsign"])
def test_a_product_with_kinks_equals_adaptive_cubature(name: str) -> None:
    f, s, c, own = ACTIVATIONS[name], 1.3, 0.6, 0.8

    def integrand(y: float, x: float) -> float:
        u, v = s * x, s * (c * x + own * y)
        return float(f(np.array(u))) * float(f(np.array(v))) * _normal(x) * _normal(y)

    wanted = sum(
        dblquad(integrand, *ends, lambda x: -c * x / own, 7, epsabs=1e-6)[0]
        + dblquad(integrand, *ends, -7, lambda x: -c * x / own, epsabs=1e-6)[0]
        for ends in ((-7, 0), (0, 7))
    )
    assert mean_of_product(f, s, c, kinks(name)) == pytest.approx(wanted, abs=2e-5)


def _normal(z: float) -> float:
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _normals(z: Array) -> Array:
    density: Array = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return density


def _erf_slope(u: Array) -> Array:
    slope: Array = 2 / math.sqrt(math.pi) * np.exp(-u * u)
    return slope
