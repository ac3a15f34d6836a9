"""Activations, gains and expected moments against torch and numerical integration."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch.nn import init

from winit_cli.errors import UsageError
from winit_cli.models.row import ActivationName, activation_function
from winit_cli.theory import moments
from winit_cli.theory.activations import ACTIVATIONS
from winit_cli.theory.derivatives import DERIVATIVES
from winit_cli.theory.gains import IN_TORCH, gain, mean_square

KINKS = [-6.0, -1.0, 0.0, 1.0, 6.0]


def test_models_and_theory_know_the_same_activations() -> None:
    assert set(get_args(ActivationName)) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_equals_torchs(name: str) -> None:
    z = np.concatenate([np.linspace(-60, 60, 4001), [-1e3, 1e3, 0.0, -0.0, 1e-9, -1e-9]])
    wanted = activation_function(name)(torch.from_numpy(z)).numpy()[: len(z)]  # of crelu the half that is relu
    with np.errstate(over="raise", invalid="raise"):
        got = ACTIVATIONS[name](z)
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative_equals_finite_differences(name: str) -> None:
    z = np.concatenate([np.linspace(-30, 30, 1207), np.linspace(-1.3, 1.3, 101)])
    z = z[np.abs(z[:, None] - KINKS).min(axis=1) > 1e-3]
    h = 1e-5
    f = ACTIVATIONS[name]
    np.testing.assert_allclose(DERIVATIVES[name](z), (f(z + h) - f(z - h)) / (2 * h), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative_equals_torchs_far_out_too(name: str) -> None:
    z = torch.tensor(
        [-1e6, -800.0, -45.5, -7.0, -0.3, 0.4, 5.5, 50.5, 800.0, 1e6], dtype=torch.float64
    ).requires_grad_()
    activation_function(name)(z)[: len(z)].sum().backward()  # of crelu the half that is relu
    assert z.grad is not None
    with np.errstate(all="raise", under="ignore"):
        got = DERIVATIVES[name](z.detach().numpy())
    np.testing.assert_allclose(got, z.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", IN_TORCH)
def test_gain_is_torchs_where_torch_has_one(name: str) -> None:
    assert gain(name) == init.calculate_gain(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - set(IN_TORCH)))
def test_gain_keeps_the_mean_square(name: str) -> None:
    with pytest.raises(ValueError, match="Unsupported nonlinearity"):
        init.calculate_gain(name)  # type: ignore[arg-type]
    assert gain(name) == pytest.approx(_integral(name) ** -0.5, rel=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_mean_square_equals_adaptive_quadrature(name: str) -> None:
    assert mean_square(name) == pytest.approx(_integral(name), rel=2e-9)


def test_relus_gain_agrees_with_its_mean_square() -> None:
    assert gain("relu") == pytest.approx(mean_square("relu") ** -0.5, rel=1e-9)


def test_an_unknown_activation_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"no gain for 'rellu'; did you mean 'relu'"):
        gain("rellu")


def test_the_spread_of_parts_that_are_nearly_equal() -> None:
    logits = [math.log(0.1 + i * 1e-10) for i in range(10)]
    assert moments.in_parts(*map(moments.constant, logits)).std == pytest.approx(np.std(logits), rel=1e-6, abs=0)
    for first, second in ((1e8, 1e8 + 1), (-2.5, -2.5 - 1e-9)):
        found = moments.in_parts(moments.constant(first), moments.constant(second))
        assert found.std == pytest.approx(abs(first - second) / 2, rel=1e-6, abs=0)
    assert moments.in_parts(moments.Moments(0.3, 1.0), moments.Moments(0.4, -1.0)).std == pytest.approx(
        math.sqrt((0.09 + 0.16) / 2 + 1)
    )


def test_fans_are_torchs() -> None:
    for shape in ((7, 5), (8, 4, 3, 3), (6, 3, 5), (4, 2, 3, 3, 3)):
        assert moments.fans(shape) == init._calculate_fan_in_and_fan_out(torch.empty(shape))


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"), [(0, 1, -2, 2), (0, 0.02, -2, 2), (0.5, 1, -0.3, 2), (0, 1, 1, 2), (3, 1, -2, 2)]
)
def test_truncated_normal_against_integration(mean: float, std: float, a: float, b: float) -> None:
    def density(x: float) -> float:
        return math.exp(-(((x - mean) / std) ** 2) / 2)

    ends = max(a, mean - 12 * std), min(b, mean + 12 * std)
    mass = quad(density, *ends)[0]
    first = quad(lambda x: x * density(x), *ends)[0] / mass
    second = quad(lambda x: (x - first) ** 2 * density(x), *ends)[0] / mass
    law = moments.truncated_normal(mean, std, a, b)
    assert law.mean == pytest.approx(first, abs=1e-8)
    assert law.std == pytest.approx(math.sqrt(second), rel=1e-7)


def _integral(name: str) -> float:
    def integrand(z: float) -> float:
        return float(ACTIVATIONS[name](np.array(z))) ** 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    return float(quad(integrand, -12, 12, points=KINKS, limit=400, epsabs=1e-13)[0])
