"""``winit explain``: its numbers for every row of the table and every kind of layer."""

from __future__ import annotations

import contextlib
import json
import math
import re
from functools import cache
from typing import Any

import pytest
from zoo import CASES, IDS

from winit_cli.errors import UsageError
from winit_cli.explain.general import layer_facts, scheme_facts
from winit_cli.explain.layers import KINDS
from winit_cli.schemes import SCHEMES
from winit_cli.theory.moments import fans

LAYERS = [
    *(
        "linear:30x20",
        "linear:20x30",
        "linear:25x25",
        "conv:8x12x3",
        "conv:8x16x3,groups=4",
        "conv:6x4x3x5",
        "conv1d:6x6x5",
    ),
    *("conv3d:4x6x3", "lstm:7x11", "gru:7x11", "rnn:7x11", "embedding:50x8"),
]
GENERAL = [
    "name",
    "aliases",
    "family",
    "caution",
    "summary",
    "formula",
    "keeps",
    "paper",
    "torch",
    "fills",
    "options",
    "pitfalls",
]
MATHS = {"sqrt": math.sqrt, "max": max}


@cache
def explained(name: str, layer: str, activation: str = "relu", **options: Any) -> dict[str, Any]:
    """The facts; what a scheme cannot fill is 0.25."""
    fallback = {"fallback": {"scheme": "constant", "val": 0.25}}
    entry = {"scheme": name, **options} | (fallback if SCHEMES[name].dims[0] else {})
    return layer_facts(entry, layer, activation)


def layers_of(name: str, **options: Any) -> list[str]:
    """The layers that the scheme has something for, at least one."""
    found = []
    for layer in LAYERS:
        with contextlib.suppress(UsageError):
            explained(name, layer, **options)
            found.append(layer)
    assert found
    return found


def stack_of(name: str, activation: str, layer: str = "linear:200x200", **options: Any) -> dict[str, Any]:
    found: dict[str, Any] = explained(name, layer, activation, **options)["signal"]["stack"]
    return found


def test_every_kind_of_layer_is_among_those_tested() -> None:
    assert {layer.partition(":")[0] for layer in LAYERS} == set(KINDS)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_in_general(name: str) -> None:
    found = scheme_facts(name, "tanh")
    assert list(found) == [*GENERAL, "activation"]
    assert found["keeps"], "what it keeps constant, and through which activation"
    assert "{" not in found["torch"]


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_numbers_of_every_scheme_and_layer(name: str, options: dict[str, Any]) -> None:
    for layer in layers_of(name, **options):
        found = explained(name, layer, **options)
        assert list(found)[: len(GENERAL) + 6] == [
            *GENERAL,
            "activation",
            "layer",
            "taken_for",
            "parameters",
            "code",
            "signal",
        ]
        assert json.loads(json.dumps(found)) == found, "numbers are numbers, and none is NaN"
        assert found["signal"]["sentence"]
        for parameter in found["parameters"]:
            _check(parameter, layer)


def _check(p: dict[str, Any], layer: str) -> None:
    """The fan is the one that gives the std, and what stands in the formula amounts to the numbers."""
    if p["std"] is None:
        assert p["scheme"] == "as_built" and "no moments" in p["in_numbers"]
        return
    assert p["variance"] == p["std"] ** 2
    if p["gain"] is not None and p["fan"] is not None:
        assert p["std"] == pytest.approx(abs(p["gain"]) / math.sqrt(p["fan_size"]))
        assert p["gain_source"]
    if p["fan"] in ("fan_in", "fan_out") and p["fan_in"] is not None:
        assert p["fan_size"] == p[p["fan"]]
    if p["std"] == 0:
        assert p["in_numbers"] == f"every value is {p['mean']:g}"
        return
    if p["is_in_parts"]:
        squares = [gate["std"] ** 2 + gate["mean"] ** 2 for gate in p["gates"].values()]
        assert p["std"] ** 2 + p["mean"] ** 2 == pytest.approx(sum(squares) / len(squares))
        assert sorted(re.findall(r"\b([a-z])(?=[,:])", p["in_numbers"])) == sorted(p["gates"])
        return
    for equation in re.split(r", (?=std|mean|bound)", p["in_numbers"].removesuffix(", whatever the layer's size")):
        what, *parts, value = equation.split(" = ")
        assert float(value) == pytest.approx(p[what], rel=1e-3), (equation, layer)
        if len(parts) == 2:  # the formula, and the same with numbers
            assert eval(parts[1], MATHS) == pytest.approx(p[what], rel=1e-3), (equation, layer)


@pytest.mark.parametrize(
    ("name", "fan"),
    [
        ("kaiming_normal", "fan_in"),
        ("lecun_uniform", "fan_in"),
        ("xavier_uniform", "(fan_in + fan_out) / 2"),
        ("orthogonal", "max(rows, columns)"),
        ("normal", None),
        ("trunc_normal", None),
    ],
)
@pytest.mark.parametrize("layer", ["linear:25x25", "linear:30x20", "conv:8x16x3,groups=4"])
def test_the_fan_is_named_also_where_all_are_equal(name: str, fan: str | None, layer: str) -> None:
    assert explained(name, layer)["parameters"][0]["fan"] == fan


def test_fans_and_formula_of_he() -> None:
    weight, bias = explained("kaiming_normal", "linear:784x100")["parameters"]
    assert weight["in_numbers"] == "std = gain / sqrt(fan_in) = sqrt(2) / sqrt(784) = 0.05051"
    assert (weight["fan_in"], weight["fan_out"], weight["bound"]) == (784, 100, None)
    assert weight["gain_source"] == "torch.nn.init.calculate_gain('leaky_relu', 0)"
    assert bias["in_numbers"] == "every value is 0"
    out = explained("kaiming_uniform", "conv:3x8x5,groups=1", mode="fan_out")["parameters"][0]
    assert (out["fan"], out["fan_size"]) == ("fan_out", fans((8, 3, 5, 5))[1])
    assert out["bound"] == pytest.approx(math.sqrt(6 / 200))
    assert out["in_numbers"] == ("std = gain / sqrt(fan_out) = sqrt(2) / sqrt(200) = 0.1, bound = sqrt(3) std = 0.1732")


@pytest.mark.parametrize(
    ("options", "activation", "gain", "source"),
    [
        ({}, "tanh", 1, "the default"),
        ({"gain": 0.2}, "tanh", 0.2, "as given"),
        ({"gain": "tanh"}, "relu", 5 / 3, "gain: tanh, torch.nn.init.calculate_gain"),
        ({"gain": "auto"}, "selu", 3 / 4, "gain: auto, of selu, torch.nn.init.calculate_gain"),
        ({"gain": "auto"}, "gelu", 1.5335, "gain: auto, of gelu, 1 / sqrt(E[f(z)^2]), z ~ N(0, 1)"),
    ],
)
def test_gains_and_where_they_come_from(options: dict[str, Any], activation: str, gain: float, source: str) -> None:
    weight = explained("xavier_normal", "linear:30x20", activation, **options)["parameters"][0]
    assert weight["gain"] == pytest.approx(gain, rel=1e-4)
    assert weight["std"] == pytest.approx(weight["gain"] / 5)
    assert weight["gain_source"] == source


def test_a_negative_gain() -> None:
    weight = explained("orthogonal", "linear:16x9", gain=-2.0)["parameters"][0]
    assert weight["in_numbers"] == "std = |gain| / sqrt(max(rows, columns)) = 2 / sqrt(max(9, 16)) = 0.5"


def test_both_conventions_of_selu() -> None:
    found = scheme_facts("lecun_normal", "selu")["activation"]
    assert (found["gain"], found["torch"], found["paper"]) == (0.75, 0.75, 1.0)
    assert found["keeps_mean_square"] == pytest.approx(1, rel=1e-9), "the paper's keeps a mean square of 1"
    assert "3/4 = 0.75 (torch.nn.init.calculate_gain), but 1 in the paper (Klambauer" in found["sentence"]
    assert scheme_facts("he", "tanh")["activation"]["keeps_mean_square"] == pytest.approx(1.5925, abs=1e-4)
    assert scheme_facts("he", "gelu")["activation"]["torch"] is None


@pytest.mark.parametrize(
    ("name", "options", "forward", "backward"),
    [
        ("kaiming_normal", {}, 1, 100 / 784),
        ("kaiming_normal", {"mode": "fan_out"}, 7.84, 1),
        ("xavier_uniform", {}, 784 / 884, 100 / 884),
        ("lecun_normal", {}, 1 / 2, 50 / 784),
        ("orthogonal", {}, 1 / 2, 50 / 784),
        ("pytorch_default", {}, 1 / 6 + 1 / (3 * 784), 100 / 784 / 6),
    ],
)
def test_factors_of_one_layer(name: str, options: dict[str, Any], forward: float, backward: float) -> None:
    found = explained(name, "linear:784x100", **options)["signal"]
    assert found["layer_factor"] == pytest.approx(forward, rel=1e-12)
    assert found["gradient_factor"] == pytest.approx(backward, rel=1e-12)


def test_the_numbers_of_deep_nets() -> None:
    he = stack_of("kaiming_normal", "relu")
    for depth in (10, 30):
        assert he[f"after_{depth}"] == {"mean_square": pytest.approx(1), "gradient": pytest.approx(1)}
    assert he["phase"] == "critical"
    halves = stack_of("xavier_normal", "relu")["after_30"]
    assert halves == {"mean_square": pytest.approx(2.0**-30), "gradient": pytest.approx(2.0**-30)}
    both_signs = stack_of("kaiming_normal", "crelu")
    assert both_signs["layer"] == "linear:400x200" and both_signs["phase"] == "critical", "two outputs of each unit"
    assert both_signs["after_30"] == pytest.approx({"mean_square": 1, "gradient": 1})
    tanh = stack_of("xavier_normal", "tanh", gain="auto")
    assert (tanh["q_star"], tanh["chi_1"]) == (pytest.approx(1.1785, abs=5e-5), pytest.approx(1.210, abs=5e-4))
    assert tanh["after_30"]["mean_square"] == pytest.approx(tanh["q_star"], rel=1e-6)
    assert tanh["phase"] == "chaotic"
    default = stack_of("pytorch_default", "relu")
    assert default["q_star"] * 200 == pytest.approx(0.4)
    assert default["after_30"] == {"mean_square": pytest.approx(0.4 / 200), "gradient": pytest.approx(6.0**-30)}
    assert stack_of("normal", "relu", layer="conv:9x8x5", std=0.1)["sigma_w2"] == pytest.approx(2), "8 channels in"


SENTENCES = [
    (
        ("kaiming_normal", "relu"),
        "with relu the mean square of pre-activations stays as it comes in, and squared gradients and squared small "
        "differences keep their size: critical, gradients neither vanish nor explode",
    ),
    (
        ("xavier_normal", "relu"),
        "falls to 0, 0.5x per layer, and squared gradients and squared small differences shrink",
    ),
    (
        ("xavier_normal", "tanh"),
        "falls slowly to 0, where squared gradients and squared small differences keep their size",
    ),
    (("pytorch_default", "relu"), "settles at q* = 0.002, where biases hold it up, and squared"),
    (("kaiming_normal", "linear"), "grows without end, 2-fold in every layer, and squared gradients"),
    (
        ("kaiming_normal", "tanh"),
        "settles at q* = 0.618, where squared gradients and squared small differences grow 1.106x",
    ),
    (
        ("normal", "gelu"),
        "grows without end, and squared gradients and squared small differences grow with it: unbounded",
    ),
    (("normal", "tanh"), "chaotic, gradients explode with depth, and inputs, however alike, end uncorrelated"),
    (("ones", "relu"), "no theory: it needs values around 0, and here the mean is not 0 (weight 1); winit probe"),
    (("as_built", "relu"), "no theory: the row of the scheme has no moments for these values; winit probe measures it"),
    (("zeros", "relu"), "falls to 0, 0x per layer"),
]


@pytest.mark.parametrize(("case", "words"), SENTENCES, ids=[" ".join(case) for case, _ in SENTENCES])
def test_sentences(case: tuple[str, str], words: str) -> None:
    assert words in explained(case[0], "linear:200x200", case[1])["signal"]["sentence"]


def test_weights_too_large_for_theory_are_said() -> None:
    found = explained("normal", "linear:200x200", "gelu", std=1e20)["signal"]
    assert "signals overflow or saturate at once" in found["sentence"]


def test_a_bias_that_is_not_zero() -> None:
    shifted = layer_facts({"scheme": "he", "bias": "ones"}, "linear:4x4", "relu")["signal"]
    assert "the mean is not 0 (bias 1)" in shifted["sentence"]
    kept = layer_facts({"scheme": "he", "bias": "default"}, "linear:12x12", "relu")["signal"]["stack"]
    assert kept["sigma_b2"] == pytest.approx(1 / 36)
    assert kept["after_30"]["mean_square"] == pytest.approx(1 + 30 / 36)


def test_what_the_default_amounts_to() -> None:
    found = explained("pytorch_default", "linear:100x100")["default"]
    wanted = {"a": 5**0.5, "gain": 3**-0.5, "bound": 0.1, "bias_bound": 0.1}
    wanted |= {"variance_of_xavier": 1 / 3, "variance_of_he": 1 / 6}
    wanted |= {"relu_factor_without_bias": 1 / 6, "relu_floor_times_fan_in": 0.4}
    assert {key: found[key] for key in wanted} == pytest.approx(wanted)
    wide = explained("pytorch_default", "conv:16x32x3")["default"]
    assert wide["bound"] == pytest.approx(1 / 12)
    assert wide["variance_of_xavier"] == pytest.approx((144 + 288) / (6 * 144))
    assert "(a third on a square layer)" in wide["sentences"][1]


def test_the_default_of_other_layers() -> None:
    lstm = explained("pytorch_default", "lstm:28x64")
    assert [p["bound"] for p in lstm["parameters"]] == pytest.approx([1 / 8] * 4)
    assert {p["fan"] for p in lstm["parameters"]} == {"hidden"}
    assert "U(±1/sqrt(hidden)) = U(±0.125)" in lstm["default"]["sentences"][0]
    embedding = explained("pytorch_default", "embedding:50x8")
    assert embedding["parameters"][0]["std"] == embedding["signal"]["mean_square"] == 1
    assert "N(0, 1)" in embedding["default"]["sentences"][0]


def test_states_and_what_a_scheme_does_to_them() -> None:
    default = explained("pytorch_default", "rnn:7x64")["signal"]
    assert default["spectral_radius"] == pytest.approx(3**-0.5)
    assert "changes 0.5774x per step" in default["sentence"]
    assert "keeps its size" in explained("orthogonal", "rnn:7x64")["signal"]["sentence"]
    assert "a cell forgets half in every step" in explained("orthogonal", "lstm:7x64")["signal"]["sentence"]
    assert "gates decide" in explained("orthogonal", "gru:7x64")["signal"]["sentence"]
    assert "the mean of weight_hh_l0 is not 0" in explained("eye", "rnn:7x64")["signal"]["sentence"]


@pytest.mark.parametrize(
    ("name", "taken_for", "std"),
    [
        ("mup", "", math.sqrt(2 / 64)),
        ("kaiming_normal", "", math.sqrt(2 / 64)),
        ("bias_prior", "the head of its model", 1 / math.sqrt(3 * 64)),
        ("fixup", "the first of two layers in one of 8 residual branches", math.sqrt(2 / 64) * 8**-0.5),
    ],
)
def test_a_layer_stands_where_the_scheme_has_something_to_fill(name: str, taken_for: str, std: float) -> None:
    found = explained(name, "linear:64x64")
    assert found["taken_for"] == taken_for
    assert found["parameters"][0]["std"] == pytest.approx(std)


def test_what_training_data_decides_is_said_so() -> None:
    found = explained("lsuv", "linear:64x64")
    assert found["parameters"][0]["in_numbers"] == "none: training data decides"
    assert "# then on training data: w.div_(layer(x).std())" in found["code"]
