"""Fixed points and depth scales: published values, and independent quadrature and iteration."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

from winit_cli.errors import UsageError
from winit_cli.theory import scale_free
from winit_cli.theory.activations import ACTIVATIONS
from winit_cli.theory.critical import critical_sigma_w2
from winit_cli.theory.derivatives import DERIVATIVES
from winit_cli.theory.maps import correlation_map, correlation_slope, mean_square, variance_map, variance_slope
from winit_cli.theory.meanfield import c_star, chi_1, q_star, xi_c, xi_q
from winit_cli.theory.phase import MeanField, mean_field, phase

KINKS = [-6.0, -1.0, 0.0, 1.0, 6.0]
POOLE = [(1.3, 0.607, 0.940, 1.0), (2.5, 4.079, 1.585, 0.122), (4.0, 12.604, 2.367, 0.030)]
# settings with a fixed point, some near the edges
SETTINGS = [
    *(("tanh", 1.5, 0.05), ("tanh", 1.001, 0.0), ("tanh", 50.0, 2.0), ("tanh", 0.3, 1e-6), ("sigmoid", 10.0, 0.0)),
    *(("sigmoid", 150.0, 0.5), ("selu", 1.0, 0.0), ("selu", 0.7, 0.1), ("elu", 1.6, 0.02), ("gelu", 1.9, 0.1)),
    *(("silu", 1.9, 0.3), ("mish", 1.5, 0.1), ("softplus", 1.9, 0.1), ("softsign", 4.0, 0.3), ("hardtanh", 1.5, 0.01)),
    *(("relu6", 3.0, 0.1), ("relu", 1.5, 0.1), ("leaky_relu", 1.9, 0.3), ("linear", 0.9, 0.2)),
]


@pytest.mark.parametrize(("sigma_w", "q", "chi", "c"), POOLE)
def test_poole_2016(sigma_w: float, q: float, chi: float, c: float) -> None:
    found = mean_field("tanh", sigma_w**2, 0.09)
    assert found.q_star == pytest.approx(q, abs=6e-4)
    assert found.chi_1 == pytest.approx(chi, abs=6e-4)
    assert found.c_star == pytest.approx(c, abs=6e-4)


def test_tanh_with_gain_five_thirds_is_chaotic() -> None:
    found = mean_field("tanh", 25 / 9, 0)
    assert found.q_star == pytest.approx(1.1785, abs=5e-5)
    assert found.chi_1 == pytest.approx(1.210, abs=5e-4)
    assert (found.c_star, phase(found)) == (0, "chaotic")


def test_selus_fixed_point_is_one() -> None:
    """Klambauer et al. 2017: mean 0 and variance 1 are kept at sigma_w = 1."""
    assert q_star("selu", 1, 0) == pytest.approx(1, abs=1e-9)
    assert c_star("selu", 1, 0) == 0


@pytest.mark.parametrize(("name", "w", "b"), SETTINGS)
def test_fixed_points_by_adaptive_quadrature_and_iteration(name: str, w: float, b: float) -> None:
    q = q_star(name, w, b)
    assert q is not None
    assert w * _expected(lambda u: ACTIVATIONS[name](u) ** 2, q) + b == pytest.approx(q, rel=1e-9)
    assert chi_1(name, w, b) == pytest.approx(w * _expected(lambda u: DERIVATIVES[name](u) ** 2, q), rel=1e-9)
    assert abs(variance_slope(q, name, w)) < 1, "stable"
    h = 1e-4 * q
    by_differences = (variance_map(q + h, name, w, b) - variance_map(q - h, name, w, b)) / (2 * h)
    assert variance_slope(q, name, w) == pytest.approx(by_differences, rel=1e-6)
    c = c_star(name, w, b)
    assert c is not None
    assert correlation_map(c, name, w, b, q) == pytest.approx(c, abs=1e-10)
    assert (c == 1) == ((chi_1(name, w, b) or 0) <= 1)
    assert abs(correlation_slope(c, name, w, b, q)) < 1, "stable"


def test_iterating_the_maps_ends_at_the_fixed_points_at_the_told_pace() -> None:
    setting = ("tanh", 4.0, 0.2)
    found = mean_field(*setting)
    assert found.q_star and found.c_star and found.xi_q and found.xi_c
    q, c, away_q, away_c = 1.0, 0.9, [], []
    for _ in range(100):
        c, q = correlation_map(c, *setting, q), variance_map(q, *setting)
        away_q.append(abs(q - found.q_star))
        away_c.append(abs(c - found.c_star))
    assert (q, c) == (pytest.approx(found.q_star), pytest.approx(found.c_star, abs=1e-5))
    assert math.log(away_q[4] / away_q[9]) / 5 == pytest.approx(1 / found.xi_q, rel=1e-2)
    assert math.log(away_c[40] / away_c[50]) / 10 == pytest.approx(1 / found.xi_c, rel=1e-2)


def test_depth_scales_are_the_papers_formulas() -> None:
    """Schoenholz et al. 2017: xi_c from chi_1 in the ordered phase, xi_q from chi_1 + sigma_w^2 E[f'' f]."""
    w, b = 1.2, 0.05
    found = mean_field("tanh", w, b)
    assert found.q_star and found.chi_1 and found.xi_q and found.xi_c
    curved = w * _expected(lambda u: -2 * np.tanh(u) ** 2 / np.cosh(u) ** 2, found.q_star)
    assert found.xi_c == pytest.approx(-1 / math.log(found.chi_1), rel=1e-12)
    assert found.xi_q == pytest.approx(-1 / math.log(found.chi_1 + curved), rel=1e-9)


def test_relu_is_told_exactly() -> None:
    assert mean_field("relu", 1.5, 0.1) == MeanField(
        pytest.approx(0.4), 0.75, 1, pytest.approx(-1 / math.log(0.75)), pytest.approx(-1 / math.log(0.75))
    )
    assert mean_field("relu", 2, 0) == MeanField(None, 1, 1, None, math.inf)
    assert mean_field("relu", 2, 0.1) == MeanField(None, 1, 1, None, math.inf)
    assert mean_field("relu", 3, 0) == MeanField(None, 1.5, 1, None, None)
    assert mean_field("linear", 1, 0) == MeanField(None, 1, None, None, None)
    critical = critical_sigma_w2("leaky_relu", 0)
    assert critical is not None and mean_field("leaky_relu", critical, 0).q_star is None
    q = 0.4
    assert correlation_map(0.3, "relu", 1.5, 0.1, q) == pytest.approx((1.5 * q * scale_free.kernel(0.3) + 0.1) / q)


def test_signals_that_die_out_and_signals_without_weights() -> None:
    ln2 = math.log(2)
    assert mean_field("tanh", 0.5, 0) == MeanField(
        0, pytest.approx(0.5), 1, pytest.approx(1 / ln2), pytest.approx(1 / ln2)
    )
    assert mean_field("tanh", 0, 0.3) == MeanField(pytest.approx(0.3), 0, 1, 0, 0)
    assert mean_field("tanh", 0, 0) == MeanField(0, 0, 1, 0, 0)
    assert mean_field("tanh", 1, 0) == MeanField(0, pytest.approx(1), 1, math.inf, math.inf)


def test_signals_that_grow_without_end() -> None:
    assert mean_field("gelu", 2.5, 0) == MeanField(None, None, None, None, None)
    assert q_star("gelu", 2.2, 0) == 0, "a mean square of 1 falls"
    assert mean_square("gelu", 0) == 0


def test_just_above_the_critical_line() -> None:
    """1 - c* is about 2 (chi_1 - 1) / C''(1), far above what rounding could tell from 1 - C."""
    critical = critical_sigma_w2("tanh", 0.05)
    assert critical is not None
    nearer, near = (c_star("tanh", critical * (1 + e), 0.05) for e in (1e-5, 1e-4))
    assert nearer and near
    assert (1 - near) / (1 - nearer) == pytest.approx(10, rel=1e-2)


def test_mean_squares_rise_with_q() -> None:
    for name in ACTIVATIONS:
        found = [mean_square(name, q) for q in np.geomspace(1e-6, 1e6, 49)]
        assert min(np.diff(found)) > 0 or name in ("relu6", "sine"), name
    assert xi_q("relu6", 3, 0) is not None


@pytest.mark.parametrize("function", [q_star, chi_1, c_star, xi_q, xi_c, mean_field])
def test_an_unknown_activation_is_refused(function: object) -> None:
    with pytest.raises(UsageError, match="unknown activation 'tahn'; did you mean 'tanh'"):
        function("tahn", 1, 0)  # type: ignore[operator]


def _expected(f: object, q: float) -> float:
    """``E[f(sqrt(q) z)]`` by scipy's adaptive quadrature, on the scale of the activation."""
    s = math.sqrt(q)

    def integrand(u: float) -> float:
        return float(f(np.array(u))) * math.exp(-((u / s) ** 2) / 2) / (s * math.sqrt(2 * math.pi))  # type: ignore[operator]

    ends = sorted({-12 * s, 12 * s, *(k for k in (*KINKS, -20.0, 20.0, -3.0, 3.0) if abs(k) < 12 * s)})
    pieces = pairwise(ends)
    return sum(float(quad(integrand, a, b, epsabs=1e-14, epsrel=1e-11, limit=200)[0]) for a, b in pieces)
