"""What ``winit check`` expects by theory, held against what the probe measures: no warning is false."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from linted import MLP, SEQUENCES, fitting, of, warned
from small import plan_of
from zoo import CASES

from winit_cli.engine.initial import initialized
from winit_cli.lint.check import check_plan
from winit_cli.lint.recurrence import recurrence_of
from winit_cli.lint.steps import factor_of
from winit_cli.lint.subject import Label, Study
from winit_cli.probe.chain import Chain, chain_of
from winit_cli.probe.trials import probe_plan
from winit_cli.theory.activations import ACTIVATIONS

# what the probe must say where a rule warns
MEANS = {
    "std-too-small": {"vanishing"},
    "std-too-large": {"exploding", "saturated", "chaotic"},
    "identical-units": {"symmetric", "dead", "vanishing"},
    "dead-units": {"dead"},
}
WIDTHS = [{"scheme": "normal", "std": std} for std in (0.001, 0.03, 0.1, 0.2, 0.4, 1.0)]
BIASED = [{"scheme": "kaiming_normal", "bias": {"scheme": "constant", "val": 0.3}}, {"scheme": "uniform", "a": 0}]
PLAIN = [{"scheme": name, **options} for name, options in CASES if name != "as_built"]
SCHEMES = [
    {**entry, "label": f"{index} {entry['scheme']}", "fallback": "kaiming_normal"}
    for index, entry in enumerate([*PLAIN, *WIDTHS, *BIASED])
]


def tally(
    *settings: str,
    rules: Sequence[str] = tuple(MEANS),
    schemes: Sequence[dict[str, Any]] = SCHEMES,
    seeds: int = 3,
) -> Counter[str]:
    """How often warnings and verdicts over so many seeds agree; a warning must mean a verdict of its kind."""
    plan = plan_of(f"schemes={json.dumps(fitting(schemes, *settings))}", *settings, text=MLP)
    said, count = warned(check_plan(plan), rules), Counter[str]()
    for label, verdict in probe_plan(plan, seeds).verdicts.items():
        mine, is_ill = said.get(label, set()), verdict.verdict != "healthy"
        assert not mine or any(verdict.verdict in MEANS[rule] for rule in mine), (settings, label, mine, verdict)
        count["agree" if bool(mine) == is_ill else "missed"] += 1
        count["ill"] += is_ill
    return count


def mlp(activation: str, depth: int, width: int = 30) -> str:
    return f"model={{name: mlp, width: {width}, depth: {depth}, activation: {activation}}}"


def cnn(activation: str, channels: Sequence[int], pool: str, repeat: int = 1) -> tuple[str, str]:
    sizes = f"channels: {list(channels)}, repeat: {repeat}"
    model = f"model={{name: cnn, {sizes}, activation: {activation}, pool: {pool}}}"
    return model, "data={name: digits, train_size: 128, test_size: 8}"


def test_warnings_are_what_the_probe_measures() -> None:
    some = SCHEMES[::2]
    count = tally(mlp("relu", 6), schemes=some, seeds=1)
    assert count["agree"] > 9 * count["missed"] and count["ill"] > 5


@pytest.mark.slow
def test_warnings_are_what_the_probe_measures_everywhere() -> None:
    count: Counter[str] = Counter()
    for activation in ACTIVATIONS:
        for part, (depth, width) in enumerate(((2, 100), (8, 20), (30, 50))):
            if (activation, depth) == ("sine", 30):  # gradients beyond what single precision holds
                continue
            count += tally(mlp(activation, depth, width), schemes=SCHEMES[part::3])
    for activation in ("relu", "tanh"):
        for channels in ([8, 16], [8, 8, 8, 8]):
            for pool in ("max", "avg", "none"):
                count += tally(*cnn(activation, channels, pool), schemes=SCHEMES[::3])
    print(count)
    assert count["agree"] > 0.93 * (count["agree"] + count["missed"])


@pytest.mark.slow
@pytest.mark.parametrize("model", ["lstm", "gru", "rnn", "rnn, nonlinearity: relu"])
@pytest.mark.parametrize("length", [5, 30, 80])
def test_warnings_over_time_are_what_the_probe_measures(model: str, length: int) -> None:
    data = f"data={{name: adding, length: {length}, train_size: 128, test_size: 8}}"
    model = f"model={{name: {model}, hidden: 32}}"
    count = tally(model, data, rules=["std-too-small", "std-too-large"], schemes=SCHEMES[::2])
    assert count["agree"]


@pytest.mark.parametrize("scheme", ["pytorch_default", "xavier_normal", {"scheme": "normal", "std": 0.01}])
def test_a_half_open_forget_gate_is_a_warning_where_the_probe_finds_the_gradient_lost(scheme: Any) -> None:
    settings = ("model={name: lstm, hidden: 32}", SEQUENCES)
    (said,) = of(scheme, "forget-bias", *settings)
    (verdict,) = probe_plan(plan_of(f"schemes={json.dumps([scheme])}", *settings, text=MLP)).verdicts.values()
    assert (said.severity == "warning") == (verdict.verdict == "vanishing")


@pytest.mark.parametrize("model", ["lstm", "gru", "rnn"])
def test_constant_weights_keep_recurrent_units_equal_through_training(model: str) -> None:
    settings = (f"model={{name: {model}, hidden: 6}}", SEQUENCES, "train.steps=20")
    constant = {"scheme": "constant", "val": 0.1}
    assert of(constant, "identical-units", *settings)
    plan = plan_of(f"schemes={json.dumps([constant])}", *settings, text=MLP)
    net: Any = initialized(plan.trials[0]).model
    part = plan.settings[0].dataset.train
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(net(part.x), part.y).backward()
        optimizer.step()
    states, _ = net.rnn(part.x)
    assert states.std(-1).max() < 1e-5 * states.abs().max()


def one_label(scheme: Any, *settings: str, seeds: int = 5) -> tuple[Label, Chain]:
    """A label, and what the probe measures of it."""
    plan = plan_of(f"schemes={json.dumps([scheme])}", f"seeds={seeds}", *settings, text=MLP)
    (measured,) = probe_plan(plan).measured.values()
    return Study(plan).labels[0], chain_of(list(measured.values()))


@pytest.mark.parametrize(
    ("scheme", "settings", "tolerance"),
    [
        ({"scheme": "normal", "std": 0.1}, (mlp("relu", 4, 200),), 1.25),
        ({"scheme": "kaiming_normal", "bias": {"scheme": "constant", "val": 0.3}}, (mlp("tanh", 6, 200),), 1.1),
        ("pytorch_default", (mlp("gelu", 4, 200),), 1.25),
        ({"scheme": "uniform", "a": 0, "b": 0.02}, (mlp("relu", 3, 200),), 1.25),
        ("orthogonal", (mlp("selu", 6, 200),), 1.1),
    ],
    ids=str,
)
def test_the_expected_signal_is_the_measured_one(scheme: Any, settings: tuple[str, ...], tolerance: float) -> None:
    label, measured = one_label(scheme, *settings)
    assert label.prediction is not None
    for depth in range(1, measured.head):
        low, high = label.prediction.squares[depth - 1]
        assert math.sqrt(low) / tolerance < measured.change(depth) < math.sqrt(high) * tolerance
    if label.prediction.gradients:
        (low, high), first = label.prediction.gradients[0], measured.gradient(1)
        assert math.sqrt(low) / 1.25 < first < math.sqrt(high) * 1.25


@pytest.mark.parametrize("repeat", [1, 2])
@pytest.mark.parametrize("pool", ["max", "avg", "none"])
def test_bounds_of_a_pooled_net_hold(pool: str, repeat: int) -> None:
    channels = [16, 16, 16][: 4 - repeat]
    label, measured = one_label("kaiming_normal", *cnn("relu", channels, pool, repeat), seeds=3)
    assert label.prediction is not None
    for depth, (low, high) in enumerate(label.prediction.squares, 1):
        assert math.sqrt(low) / 1.2 < measured.change(depth) < math.sqrt(high) * 1.2
    low, high = label.prediction.gradients[0]
    assert math.sqrt(low) / 1.2 < measured.gradient(1) < math.sqrt(high) * 1.2


@pytest.mark.parametrize("nonlinearity", ["relu", "tanh"])
@pytest.mark.parametrize("scheme", ["pytorch_default", "orthogonal", {"scheme": "normal", "std": 0.3}])
def test_the_expected_gradient_over_time_is_the_measured_one(scheme: Any, nonlinearity: str) -> None:
    """Norms of ``dL/dh_t`` by a recurrence written out."""
    plan = plan_of(
        f"schemes={json.dumps([scheme])}",
        f"model={{name: rnn, hidden: 128, nonlinearity: {nonlinearity}}}",
        SEQUENCES,
        text=MLP,
    )
    label = Study(plan).labels[0]
    expected = recurrence_of(label)
    assert expected is not None
    logs = []
    for trial in plan.trials[:5]:
        model: Any = initialized(trial).model
        f = getattr(torch, nonlinearity)
        h, states = torch.zeros(64, 128), []
        for x in trial.setting.dataset.train.x[:64].unbind(1):
            h = f(
                x @ model.rnn.weight_ih_l0.T
                + h @ model.rnn.weight_hh_l0.T
                + model.rnn.bias_ih_l0
                + model.rnn.bias_hh_l0
            )
            states.append(h)
        first, last = torch.autograd.grad(model.head(h).sum(), [states[9], states[-1]])
        logs.append(math.log(float(first.norm() / last.norm())) / 20)
    assert sum(logs) / len(logs) == pytest.approx(math.log(factor_of(label, expected)), abs=0.12)


@pytest.mark.parametrize("model", ["lstm", "gru"])
@pytest.mark.parametrize("std", [0.3, 4.0])
def test_the_expected_share_of_flat_gates_is_the_measured_one(model: str, std: float) -> None:
    settings = (f"model={{name: {model}, hidden: 64}}", SEQUENCES)
    said = of({"scheme": "normal", "std": std}, "std-too-large", *settings)
    plan = plan_of(f"schemes=[{{scheme: normal, std: {std}}}]", *settings, "seeds=1", text=MLP)
    net: Any = initialized(plan.trials[0]).model.rnn  # type: ignore[union-attr]
    x = plan.settings[0].dataset.train.x
    states, _ = net(x)
    z = x[:, -1] @ net.weight_ih_l0.T + states[:, -2] @ net.weight_hh_l0.T
    gates = z[:, :128] if model == "gru" else torch.cat([z[:, :128], z[:, 192:]], 1)
    share = float((gates.abs() > 4.18).double().mean())
    assert bool(said) == (share > 0.55)
