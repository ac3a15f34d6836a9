"""``winit theory``: its documents, its words, and what it refuses."""

from __future__ import annotations

import pytest
from commands import refused, winit, winit_json

pytestmark = pytest.mark.usefixtures("no_sets")  # an empty working directory

TANH = ("theory", "--activation", "tanh")
RELU = ("theory", "--activation", "relu")


def said_by(*arguments: object) -> str:
    """What a command prints, wherever the terminal breaks its lines."""
    return " ".join(winit(*arguments).stdout.split())


def test_the_numbers_of_a_setting() -> None:
    found = winit_json(*TANH, "--sigma-w2", 6.25, "--sigma-b2", 0.09)
    assert list(found) == ["q_star", "chi_1", "c_star", "xi_q", "xi_c"]
    assert list(found.values()) == pytest.approx([4.0791, 1.5852, 0.1221, 0.6883, 5.1089], abs=1e-4)
    said = said_by(*TANH, "--sigma-w2", 6.25, "--sigma-b2", 0.09)
    assert "4.0791" in said
    assert "chaotic: squared gradients grow" in said
    assert "6 xi_c = 31 layers" in said


def test_what_does_not_exist_is_null_and_said() -> None:
    found = winit_json(*RELU, "--sigma-w2", 3, "--sigma-b2", 0)
    assert found == {"q_star": None, "chi_1": 1.5, "c_star": 1.0, "xi_q": None, "xi_c": None}
    assert "none: the mean square grows without end, 1.5-fold" in said_by(*RELU, "--sigma-w2", 3, "--sigma-b2", 0)


def test_what_is_infinite_is_no_gap() -> None:
    found = winit_json(*RELU, "--sigma-w2", 2, "--sigma-b2", 0)
    assert found == {"q_star": None, "chi_1": 1.0, "c_star": 1.0, "xi_q": None, "xi_c": "inf"}
    assert "infinite: depth does not limit how far signals reach" in said_by(*RELU, "--sigma-w2", 2, "--sigma-b2", 0)


def test_the_critical_line() -> None:
    found = winit_json(*TANH, "--sigma-b2", 0.05, "--critical")
    assert found == {"sigma_w2": pytest.approx(1.7610, abs=5e-5), "q_star": pytest.approx(0.5700, abs=5e-5)}
    assert "1.327 / sqrt(fan_in)" in said_by(*TANH, "--sigma-b2", 0.05, "--critical")
    gelu = said_by("theory", "--activation", "gelu", "--sigma-b2", 0.05, "--critical")
    assert "not stable: a departure from this mean square grows 1.085-fold" in gelu
    softplus = said_by("theory", "--activation", "softplus", "--sigma-b2", 0.05, "--critical")
    assert "none: chi_1 stays below 1" in softplus


def test_born_dead() -> None:
    asked = (*RELU, "--born-dead", "--width", 2, "--depth", 10)
    assert winit_json(*asked) == {"p_dead": pytest.approx(1 - 0.75**10, rel=1e-14)}
    assert "0.94369" in said_by(*asked)


REFUSED = [
    (
        "--sigma-w2 1",
        "winit theory needs --sigma-w2 and --sigma-b2; missing: --sigma-b2; or --critical with --sigma-b2",
    ),
    ("", "missing: --sigma-w2, --sigma-b2; or --critical"),
    ("--critical", "winit theory --critical needs --sigma-b2; missing: --sigma-b2"),
    ("--critical --sigma-b2 0 --sigma-w2 1", "winit theory --critical takes --sigma-b2, not --sigma-w2"),
    ("--sigma-w2 1 --sigma-b2 0 --width 3", "takes --sigma-w2 and --sigma-b2, not --width; or --critical"),
    ("--critical --born-dead", "--critical and --born-dead are two questions; ask one of them"),
    ("--born-dead --width 3", "winit theory --born-dead needs --width and --depth; missing: --depth"),
    ("--born-dead --width 3 --depth 0", "depth must be from 1 to 2147483647, got 0"),
    (
        "--born-dead --width 3 --depth 2 --activation tanh",
        "--born-dead is about relu, whose units are exactly off; tanh",
    ),
    ("--sigma-w2 nan --sigma-b2 0", "--sigma-w2 nan: expected a variance from 0 to 1e+06"),
    ("--sigma-w2 inf --sigma-b2 0", "--sigma-w2 inf: expected a variance from 0 to 1e+06"),
    ("--sigma-w2 1 --sigma-b2 -0.1", "--sigma-b2 -0.1: expected a variance from 0 to 1e+06"),
    ("--critical --sigma-b2 0 --activation tahn", "unknown activation 'tahn'; did you mean 'tanh'?"),
    ("--born-dead --width 3 --depth 2 --activation rleu", "unknown activation 'rleu'; did you mean 'relu'?"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=[options for options, _ in REFUSED])
def test_bad_combinations(options: str, message: str) -> None:
    said = refused(*RELU, *options.split())
    assert message in said
    assert "\n" not in said


def test_an_activation_is_required() -> None:
    result = winit("theory", "--sigma-w2", 1, "--sigma-b2", 0)
    assert result.exit_code == 2
    assert "Missing option '--activation'" in result.stderr
