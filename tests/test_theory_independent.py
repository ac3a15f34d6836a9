"""Fixed points against sums over a dense grid with formulas of their own: other activations, other sigmas."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import erf

from winit_cli.theory.critical import critical_sigma_w2
from winit_cli.theory.phase import mean_field

Floats = NDArray[np.float64]
SELU = 1.0507009873554805, 1.6732632423543772
ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    "tanh": np.tanh,
    "sigmoid": lambda z: 0.5 + 0.5 * np.tanh(z / 2),
    "gelu": lambda z: z * (1 + erf(z / np.sqrt(2))) / 2,
    "silu": lambda z: z * (0.5 + 0.5 * np.tanh(z / 2)),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "selu": lambda z: SELU[0] * np.where(z > 0, z, SELU[1] * np.expm1(np.minimum(z, 0))),
    "softplus": lambda z: np.logaddexp(0, z),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "hardtanh": lambda z: np.clip(z, -1, 1),
}
Z = np.linspace(-9, 9, 9_001)
COARSE = np.linspace(-7, 7, 281)


def weights(z: Floats) -> Floats:
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])


def fixed_point(f: Callable[[Floats], Floats], sigma_w2: float, sigma_b2: float) -> tuple[float, float, float]:
    """q*, chi_1 by differences of f, and c*, by iteration of the maps of Poole et al. 2016 (arXiv:1606.05340)."""
    q, w = 1.0, weights(Z)
    for _ in range(300):
        q = sigma_w2 * float(w @ f(np.sqrt(q) * Z) ** 2) + sigma_b2
    h = 1e-5
    chi_1 = sigma_w2 * float(w @ ((f(np.sqrt(q) * Z + h) - f(np.sqrt(q) * Z - h)) / (2 * h)) ** 2)
    c, one = 0.7, weights(COARSE)
    first, (a, b) = f(np.sqrt(q) * COARSE), np.meshgrid(COARSE, COARSE, indexing="ij")
    for _ in range(60):
        second = f(np.sqrt(q) * (c * a + np.sqrt(max(0.0, 1 - c * c)) * b)) @ one
        c = min(1.0, (sigma_w2 * float(one @ (first * second)) + sigma_b2) / q)
    return q, chi_1, c


@pytest.mark.parametrize(
    ("activation", "sigma_w2", "sigma_b2"),
    [
        ("tanh", 1.2, 0.3),
        ("tanh", 4.0, 0.01),
        ("sigmoid", 9.0, 0.3),
        ("gelu", 1.2, 0.4),
        ("silu", 1.5, 0.3),
        ("elu", 0.9, 0.2),
        ("selu", 0.7, 0.1),
        ("softplus", 0.6, 0.0),
        ("softsign", 8.0, 0.05),
    ],
)
def test_fixed_points_against_a_dense_grid(activation: str, sigma_w2: float, sigma_b2: float) -> None:
    q, chi_1, c = fixed_point(ACTIVATIONS[activation], sigma_w2, sigma_b2)
    found = mean_field(activation, sigma_w2, sigma_b2)
    assert (found.q_star, found.chi_1) == (pytest.approx(q, rel=1e-5), pytest.approx(chi_1, rel=1e-4))
    assert found.c_star == pytest.approx(c, abs=2e-3)


def test_hardtanh_in_closed_form() -> None:
    """Its slope jumps, which a grid does not see: chi_1 is the share of |z| < 1, and E[f^2] is known too."""
    found = mean_field("hardtanh", 2.0, 0.1)
    assert found.q_star is not None
    s, inside = 1 / np.sqrt(found.q_star), erf(1 / np.sqrt(2 * found.q_star))
    square = found.q_star * (inside - 2 * s * np.exp(-s * s / 2) / np.sqrt(2 * np.pi)) + 1 - inside
    assert found.chi_1 == pytest.approx(2.0 * inside, rel=1e-9)
    assert found.q_star == pytest.approx(2.0 * square + 0.1, rel=1e-9)


@pytest.mark.parametrize(("activation", "sigma_b2"), [("tanh", 0.3), ("softsign", 0.1), ("hardtanh", 0.05)])
def test_the_critical_line_against_a_dense_grid(activation: str, sigma_b2: float) -> None:
    sigma_w2 = critical_sigma_w2(activation, sigma_b2)
    assert sigma_w2 is not None
    below, above = (fixed_point(ACTIVATIONS[activation], sigma_w2 * k, sigma_b2)[1] for k in (0.999, 1.001))
    assert below < 1 < above
