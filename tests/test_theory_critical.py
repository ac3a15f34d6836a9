"""The critical line, and what the numbers are called in words."""

from __future__ import annotations

import math

import pytest

from winit_cli.theory.activations import ACTIVATIONS
from winit_cli.theory.critical import critical_point, critical_sigma_w2
from winit_cli.theory.maps import variance_map
from winit_cli.theory.meanfield import chi_1, q_star, xi_c
from winit_cli.theory.phase import mean_field, meanings, of_critical


def test_schoenholz_2017() -> None:
    point = critical_point("tanh", 0.05)
    assert point.sigma_w2 == pytest.approx(1.7610, abs=5e-5)
    assert point.q_star == pytest.approx(0.5700, abs=5e-5)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_critical_line_has_chi_one(name: str) -> None:
    for b in (0.0, 0.05, 0.3):
        point = critical_point(name, b)
        if point.sigma_w2 is None:
            assert name == "softplus"
        elif point.slope is None:
            assert chi_1(name, point.sigma_w2, b) == pytest.approx(1, abs=1e-12)
            assert q_star(name, point.sigma_w2, b) is None
        elif point.slope < 1 + 1e-9 and (b or name not in ("gelu", "silu", "mish")):
            assert q_star(name, point.sigma_w2, b) == pytest.approx(point.q_star, rel=1e-9)
            assert chi_1(name, point.sigma_w2, b) == pytest.approx(1, abs=1e-9)
            assert xi_c(name, point.sigma_w2, b) == math.inf
        else:
            assert name in ("gelu", "silu", "mish"), "their fixed point is stable, or reached from 1, elsewhere"


def test_critical_points_without_biases() -> None:
    known = {
        "tanh": 1,
        "softsign": 1,
        "hardtanh": 1,
        "elu": 1,
        "linear": 1,
        "relu": 2,
        "relu6": 2,
        "gelu": 4,
        "silu": 4,
    }
    for name, wanted in known.items():
        assert critical_sigma_w2(name, 0) == pytest.approx(wanted, rel=1e-12)


def test_softplus_never_becomes_chaotic() -> None:
    assert critical_point("softplus", 0.1).sigma_w2 is None
    assert [chi < 1 for w in (0.5, 1.5, 1.999) if (chi := chi_1("softplus", w, 0.1))] == [True] * 3


def test_words() -> None:
    said = meanings(mean_field("tanh", 1.5, 0.05), 0.05)
    assert said["chi_1"] == "ordered: squared gradients shrink by this factor in every layer, and vanish with depth"
    assert said["xi_c"] == "signals reach, and nets train, to a depth of about 6 xi_c = 95 layers"
    assert (
        meanings(mean_field("relu", 2, 0), 0)["q_star"] == "none: the mean square stays as it comes in, whatever it is"
    )
    assert "grows by sigma_b2 = 0.1" in meanings(mean_field("relu", 2, 0.1), 0.1)["q_star"]
    assert "grows without end, 1.5-fold" in meanings(mean_field("relu", 3, 0), 0)["q_star"]


@pytest.mark.parametrize(
    ("activation", "grows"), [("gelu", True), ("silu", True), ("tanh", False), ("softsign", False)]
)
def test_without_biases_a_critical_point_may_hold_no_signal(activation: str, grows: bool) -> None:
    point = critical_point(activation, 0.0)
    assert point.q_star == 0 and point.slope is not None and point.sigma_w2 is not None
    q = 0.01
    for _ in range(300):
        q = variance_map(q, activation, point.sigma_w2, 0.0)
    assert (point.slope > 1) is (q > 0.01) is grows
    assert ("not stable" in of_critical(point, 0.0)[1]) is grows
