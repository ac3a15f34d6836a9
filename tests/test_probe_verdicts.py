"""What is said of networks at initialization, and whether training agrees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from small import plan_of
from torch import Tensor, nn

import winit_cli as winit
from winit_cli.cli.sources import Changes, load
from winit_cli.plan import make_plan
from winit_cli.probe.measured import Measured, Place, Row
from winit_cli.probe.trials import probe_plan
from winit_cli.probe.verdict import VERDICTS, Verdict, judge

DEEP = """
name: deep
model: {name: mlp, width: 50, depth: 30, activation: relu}
data: {name: gaussian, features: 50, classes: 4, train_size: 128, test_size: 8}
schemes: [kaiming_normal]
train: {steps: 1, batch_size: 32}
seeds: 3
"""


def verdict(scheme: str, *settings: str) -> Verdict:
    found = probe_plan(plan_of(f"schemes=[{scheme}]", *settings, text=DEEP)).verdicts
    (only,) = found.values()
    return only


def net(*sizes: int, act: Any = nn.ReLU, scheme: str = "kaiming_normal", **options: Any) -> nn.Sequential:
    layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), act())]
    module = nn.Sequential(*layers[:-1])
    winit.init(module, scheme, **options)
    return module


def x_of(size: int, examples: int = 64) -> Tensor:
    return torch.randn(examples, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("scheme", "settings", "expected", "layer", "metric"),
    [
        ("kaiming_normal", (), "healthy", "", ""),
        ("{scheme: orthogonal, gain: auto}", (), "healthy", "", ""),
        ("pytorch_default", (), "vanishing", "layers.0", "grad_norm"),
        ("{scheme: pytorch_default, bias: zeros}", (), "vanishing", "layers.0", "layer_gain"),
        ("lecun_normal", (), "vanishing", "layers.1", "layer_gain"),
        ("{scheme: normal, std: 0.001}", (), "vanishing", "layers.0", "layer_gain"),
        ("normal", (), "exploding", "layers.0", "layer_gain"),
        ("normal", ("model.depth=2",), "exploding", "layers.0", "layer_gain"),
        ("uniform", (), "exploding", "layers.1", "layer_gain"),
        ("zeros", (), "symmetric", "layers.0", "distinct_units"),
        ("ones", (), "symmetric", "layers.0", "distinct_units"),
        ("{scheme: constant, val: 0.02}", ("model.activation=tanh",), "symmetric", "layers.0", "distinct_units"),
        ("{scheme: kaiming_normal, bias: {scheme: constant, val: -20}}", (), "dead", "layers.0", "dead_fraction"),
        ("normal", ("model.activation=tanh",), "saturated", "layers.0", "saturated_fraction"),
        (
            "{scheme: normal, std: 0.28}",
            ("model.activation=tanh", "model.depth=60"),
            "chaotic",
            "layers.1",
            "grad_norm",
        ),
        ("xavier_normal", ("model.activation=tanh",), "healthy", "", ""),
        ("xavier_normal", ("model.activation=sigmoid",), "vanishing", "layers.0", "grad_norm"),
        ("lecun_normal", ("model.activation=selu",), "healthy", "", ""),
        ("orthogonal", ("model.activation=linear",), "healthy", "", ""),
        ("normal", ("model.norm=batch", "model.depth=3"), "healthy", "", ""),
        ("kaiming_normal", ("model.depth=0",), "healthy", "", ""),
    ],
)
def test_verdicts(scheme: str, settings: Sequence[str], expected: str, layer: str, metric: str) -> None:
    found = verdict(scheme, *settings)
    assert (found.verdict, found.layer, found.metric) == (expected, layer, metric)
    assert found.verdict in VERDICTS
    assert (found.value is None) == (expected == "healthy")
    assert "\n" not in found.advice and len(found.advice) < 240


def test_the_advice_says_how_fast_and_what_to_use() -> None:
    assert verdict("lecun_normal").advice.startswith("activations shrink 0.6")
    assert "per layer from layer 2 on; at depth 30 they are " in verdict("lecun_normal").advice
    default = verdict("pytorch_default")
    assert default.advice.startswith("gradients shrink 0.4")
    assert "; at depth 30 the gradient of layer 1 is " in default.advice
    assert default.advice.endswith(" of the last: use gain sqrt(2), e.g. kaiming_normal")
    assert default.value is not None and default.value < 1e-8
    assert "grow 7" in verdict("normal", "model.activation=linear").advice
    assert "all 50 units of layers.0 are equal" in verdict("zeros").advice


@pytest.mark.parametrize("config", ["pitfalls", "deep_mlp"])
def test_verdicts_foretell_what_training_finds(config: str) -> None:
    """Labels of the shipped configs that learn are healthy, those that stick or diverge are not."""
    learning = {"kaiming", "kaiming with default biases", "kaiming_normal", "orthogonal gain relu"}
    plan = make_plan(load(config, Changes(["seeds=1"])), "cpu")
    found = probe_plan(plan).verdicts
    assert {label for label, one in found.items() if one.verdict == "healthy"} == learning & set(found)


def test_a_head_of_zeros_is_meant() -> None:
    rules = "{label: x, rules: [{params: 'head.*', scheme: zeros}], others: kaiming_normal}"
    assert verdict(rules).verdict == "healthy"


def test_equal_units_with_unlike_outgoing_weights_are_told_apart_by_training() -> None:
    module = net(6, 8, 3, act=nn.Tanh)
    winit.init(module[0], "constant", val=0.1)
    assert winit.probe(module, x_of(6), torch.arange(64) % 3).verdict == "healthy"


def test_what_underflows_has_vanished() -> None:
    signal = verdict("{scheme: normal, std: 0.001}")
    assert signal.advice.startswith("activations shrink 0.00") and "at depth 30" not in signal.advice
    gradient = verdict("pytorch_default", "model.depth=140")
    assert (gradient.verdict, gradient.layer, gradient.value) == ("vanishing", "layers.0", 0)
    assert "gradients shrink 0.4" in gradient.advice and "layer 1 is 0 of the last" in gradient.advice


class Sine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sin()


def test_a_gradient_that_overflows_on_its_way_back_is_chaotic() -> None:
    found = winit.probe(net(20, *[50] * 60, 3, act=Sine, scheme="normal", std=4.0), x_of(20))
    assert found.verdict == "chaotic" and found.found.layer == "0" and found.found.value == math.inf
    assert "grow 20x per layer" in found.advice  # std sqrt(50 / 2)
    assert "the gradient of layer 1 is over 3e38 times the last" in found.advice


def test_a_loss_without_a_finite_gradient_is_not_healthy() -> None:
    found = winit.probe(net(20, 50, 3), x_of(20), loss=lambda out: out.sum() * math.nan)
    assert (found.verdict, found.found.layer, found.found.metric) == ("exploding", "2", "grad_norm")
    assert "look at the loss" in found.advice


def test_overflow_is_exploding() -> None:
    found = winit.probe(net(9, 9, 9, 9, 3, scheme="normal", std=1e30), 1e15 * x_of(9))
    assert (found.verdict, found.verdicts["metric"][0]) == ("exploding", "pre_mean_square")
    assert "overflows at layer" in found.advice


def test_sizes_of_inputs_play_no_part() -> None:
    for scale in (1e-4, 1e4):
        assert winit.probe(net(*[40] * 8, 3), scale * x_of(40)).verdict == "healthy"
    random_biases = net(9, 9, 9, scheme="pytorch_default")
    assert winit.probe(random_biases, torch.zeros(4, 9)).verdict == "healthy"


def test_the_median_over_seeds_decides() -> None:
    def one(share: float) -> Measured:
        rows = [Row("a", 1, "dead_fraction", share), Row("a", 1, "pre_mean_square", 1.0), Row("b", 2, "grad_norm", 1.0)]
        rows += [Row("b", 2, "pre_mean_square", 1.0), Row("a", 1, "grad_norm", 1.0)]
        return Measured((Place("a", 4, "relu"), Place("b", 2, "")), 1.0, tuple(rows))

    assert judge([one(1.0), one(0.0), one(0.0)]).verdict == "healthy"
    assert judge([one(1.0), one(1.0), one(0.0)]) == judge([one(1.0)])
    assert judge([one(math.nan), one(1.0)]).verdict == "dead"


def recurrent(scheme: str, *settings: str) -> Verdict:
    return verdict(scheme, "data={name: adding, length: 40, train_size: 64, test_size: 8}", "seeds=1", *settings)


@pytest.mark.parametrize(
    ("model", "scheme", "expected", "metric", "says"),
    [
        ("rnn, nonlinearity: relu", "{scheme: normal, std: 0.05}", "vanishing", "grad_norm_lag_39", "rnn.weight_hh*"),
        ("rnn, nonlinearity: relu", "{scheme: normal, std: 0.3}", "exploding", "grad_norm_lag_39", "eye, the identity"),
        ("rnn", "{scheme: normal, std: 0.05}", "vanishing", "grad_norm_lag_39", "orthogonal for the recurrent weights"),
        ("rnn", "{scheme: normal, std: 0.3}", "chaotic", "grad_norm_lag_39", "orthogonal for the recurrent weights"),
        ("rnn", "orthogonal", "healthy", "", "probably not the cause"),
        ("lstm", "{scheme: normal, std: 0.01}", "vanishing", "grad_norm_lag_39", "a forget gate that starts open"),
        ("lstm", "{scheme: normal, std: 0.8}", "chaotic", "grad_norm_lag_39", "orthogonal for the recurrent weights"),
        (
            "lstm",
            "{scheme: normal, std: 3}",
            "saturated",
            "gate_saturated_output",
            "of the output gate's values of rnn",
        ),
        ("gru", "{scheme: normal, std: 0.01}", "vanishing", "grad_norm_lag_39", "an update gate that starts open"),
        ("gru", "{scheme: normal, std: 3}", "saturated", "gate_saturated_reset", "of the reset gate's values of rnn"),
        ("gru", "orthogonal", "healthy", "", "probably not the cause"),
    ],
)
def test_verdicts_over_time(model: str, scheme: str, expected: str, metric: str, says: str) -> None:
    found = recurrent(scheme, f"model={{name: {model}, hidden: 64}}")
    assert (found.verdict, found.metric, found.layer) == (expected, metric, "rnn" if metric else "")
    assert says in found.advice and len(found.advice) < 300 and "not measured" not in found.advice
    if "lag" in metric:
        assert found.advice.startswith("the gradient of the state 39 steps back is ")
        assert found.value is not None and (found.value < 6e-8 or found.value > 1e3)


@pytest.mark.parametrize(
    ("config", "healthy"),
    [
        ("adding_rnn", ["identity", "orthogonal", "xavier_normal"]),
        (
            "mnist_lstm",
            ["pytorch_default", "xavier_uniform", "orthogonal", "orthogonal recurrent", "kaiming_normal"],
        ),
    ],
)
def test_verdicts_over_time_of_the_shipped_configs(config: str, healthy: list[str]) -> None:
    """The labels that training ranks first; the others do worse in both, though only one of them learns nothing."""
    found = probe_plan(make_plan(load(config, Changes(["seeds=1"])), "cpu")).verdicts
    assert [label for label, one in found.items() if one.verdict == "healthy"] == healthy
    assert {one.verdict for label, one in found.items() if label not in healthy} == {"vanishing"}
    faint = {label for label in healthy if "what hangs on the first step may be slow to learn" in found[label].advice}
    assert faint == set(healthy) - {"identity", "kaiming_normal"}  # whose gradients reach back


class Tokens(nn.Sequential):
    """Whole numbers in, which have no size."""

    def __init__(self, std: float) -> None:
        layers = (layer for _ in range(4) for layer in (nn.Linear(20, 20), nn.ReLU()))
        super().__init__(nn.Embedding(9, 20), nn.Flatten(), *layers, nn.Linear(20, 3))
        for layer in list(self)[2::2]:
            winit.init(layer, "normal", std=std)


def test_the_advice_compares_with_the_first_layer_where_the_input_has_no_size() -> None:
    x = (torch.arange(32) % 9)[:, None]
    found = winit.probe(Tokens(0.01), x, torch.arange(32) % 3)
    assert found.verdict == "vanishing"
    assert "at depth 5 they are " in found.advice and "of those of layer 1, and" in found.advice
    assert "the input" not in found.advice
    grown = winit.probe(Tokens(1.0), x, torch.arange(32) % 3)
    assert grown.verdict == "exploding" and "times those of layer 1" in grown.advice
    assert "of the input, and" in winit.probe(net(*[20] * 6, 3, scheme="normal", std=0.01), x_of(20)).advice
