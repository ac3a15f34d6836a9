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


def test_units_that_one_output_weighs_unlike_are_told_apart() -> None:
    """Their gradients are multiples of each other, of rank 1, but not equal."""
    module = net(6, 8, 1, act=nn.Tanh)
    winit.init(module[0], "constant", val=0.1)
    found = winit.probe(module, x_of(6), x_of(1))
    rows = found.table.set_index(["layer", "metric"])["value"]
    assert (rows["0", "distinct_units"], rows["0", "distinct_gradients"], rows["0", "gradient_rank"]) == (1, 8, 1)
    assert found.verdict == "healthy"


class Reading(nn.Module):
    def __init__(self, kind: Any, layers: int, outputs: int = 3) -> None:
        super().__init__()
        self.rnn, self.head = kind(5, 8, layers, batch_first=True), nn.Linear(8, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


SEQUENCES = torch.randn(32, 9, 5, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("layers", [1, 2])
def test_recurrent_units_that_are_equal_in_all_gates_are_one(kind: Any, layers: int) -> None:
    module = Reading(kind, layers)
    winit.init(module, "constant", val=0.1)
    found = winit.probe(module, SEQUENCES, torch.arange(32) % 3)
    assert (found.verdict, found.found.layer, found.found.value) == ("symmetric", "rnn", 1)
    winit.init(module.head, "xavier_normal")  # tells the units of the last layer apart, but of no layer below
    assert winit.probe(module, SEQUENCES, torch.arange(32) % 3).verdict == ("symmetric" if layers == 2 else "healthy")
    winit.init(module, "xavier_normal")
    assert winit.probe(module, SEQUENCES, torch.arange(32) % 3).verdict == "healthy"


@pytest.mark.parametrize("of", [lambda: net(9, 9, 9, 3), lambda: Reading(nn.LSTM, 1)])
def test_what_a_head_of_zeros_hides_is_said(of: Any) -> None:
    module = of()
    winit.init(list(module.children())[-1], "zeros")
    found = winit.probe(module, SEQUENCES if isinstance(module, Reading) else x_of(9), None)
    assert found.verdict == "healthy" and "gradient keep" not in found.advice
    assert "the head is zero, so that the layers before it get no gradient" in found.advice


@pytest.mark.parametrize(
    "loss",
    [
        lambda out: out.detach().square().mean(),
        lambda out: out.detach().square().mean().requires_grad_(),
        lambda out: torch.ones((), requires_grad=True) + 0.0,
    ],
)
def test_a_loss_that_does_not_depend_on_the_module_is_refused(loss: Any) -> None:
    with pytest.raises(winit.WinitError, match="the loss does not depend on any parameter that trains"):
        winit.probe(net(9, 9, 3), x_of(9), loss=loss)


def test_a_loss_whose_gradient_is_zero_has_none() -> None:
    found = winit.probe(net(9, 9, 3), x_of(9), loss=lambda out: 0 * out.sum())
    assert (found.verdict, found.found.metric, found.found.value) == ("vanishing", "grad_norm", 0)
    assert "gradient of its loss is 0: look at the loss" in found.advice


class Detaching(nn.Module):
    """Of two outputs the first is looked at, behind a trunk that does not train."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.policy, self.value = net(9, 9, 9), nn.Linear(9, 4), nn.Linear(9, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.trunk(x)
        return self.policy(h.detach() if self.training else h), self.value(h)


def test_what_the_loss_does_not_depend_on_is_named() -> None:
    module = Detaching()
    found = winit.probe(module, x_of(9), torch.arange(64) % 4)
    assert found.verdict == "healthy" and "does not depend on trunk.0, trunk.2, value (detached" in found.advice
    found = winit.probe(module.eval(), x_of(9), torch.arange(64) % 4)
    assert found.verdict == "healthy" and "does not depend on value (detached" in found.advice


def test_changes_that_are_borne_are_told_in_numbers() -> None:
    """As of the small input weights of IRNN (Le et al. 2015)."""
    found = recurrent("identity_recurrent", "model={name: rnn, hidden: 64, nonlinearity: relu}")
    assert found.verdict == "healthy" and "keep" not in found.advice
    assert found.advice.startswith(
        "pre-activations are 2e-2 of the input and the gradient of layer 1 is 8e-3 of the last"
    )
    faded = recurrent("normal", "model={name: rnn, hidden: 64}", "schemes=[{scheme: normal, std: 0.01}]").advice
    assert "rounding of a sum over steps; sgd hardly learns what hangs on it alone, adam late" in faded


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
    assert says in found.advice and len(found.advice) < 320 and "not measured" not in found.advice
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
    faint = {label for label in healthy if "sgd hardly learns what hangs on it alone" in found[label].advice}
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
