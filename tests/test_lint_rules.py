"""Every rule of ``winit check``: where it speaks, with which number, and where it is silent."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from linted import IMAGES, LSTM, MLP, SEQUENCES, checked, found, of
from small import plan_of
from torch import Tensor, nn

from winit_cli.lint import LINTS
from winit_cli.models import MODELS
from winit_cli.models.adapt import adapt
from winit_cli.plugins import plugged
from winit_cli.probe.trials import probe_plan

RNN = ("model={name: rnn, hidden: 16, nonlinearity: relu}", SEQUENCES)
TANH = ("model.activation=tanh",)
DEEP = ("model.depth=12",)
CNN = ("model={name: cnn, channels: [8, 16]}", IMAGES)
ONE = {"scheme": "constant", "val": 1}
MIDDLE = [{"params": "layers.1.*", "scheme": "zeros"}]
BIASES = ["zeros", {"scheme": "normal", "std": 1e30}, {"scheme": "constant", "val": -1e30}]
RECURRENT = [{"params": "*weight_hh*", "scheme": "orthogonal"}]
FORGET = {"scheme": "forget_bias", "rest": "zeros"}  # as the cure of forget-bias has it
HEAD = [{"params": "head.*", "scheme": "zeros"}]
GRU_LIKE = ("model={name: gru, hidden: 16}", SEQUENCES)

TINY = """
import winit_cli as winit
def tiny(tensor, generator):
    tensor.normal_(0, 0.001, generator=generator)
SCHEMES = [winit.Scheme("tiny", tiny, moments=lambda shape: winit.Moments(std=0.001, drawn=True), dims=(2, 2))]
"""
FIVE_THIRDS = {"scheme": "xavier_normal", "gain": "tanh"}
SILU, WIDE = ("model.activation=silu", "model.depth=10"), ("model.width=100",)
Case = tuple[str, Any, tuple[str, ...], str]
SPEAKS: list[Case] = [  # rule, entry, settings, and words of the reason
    (
        "std-too-small",
        "pytorch_default",
        DEEP,
        "shrinks 0.41x per layer on its way back, to 2e-5 of the last",
    ),
    (
        "std-too-small",
        {"scheme": "normal", "std": 0.001},
        (),
        "shrinks 0.0043x per layer, to 8e-8 of the input's",
    ),
    ("std-too-small", "xavier_normal", ("model.activation=sigmoid", "model.depth=6"), "of the last layer's at layer 1"),
    (
        "std-too-small",
        {"scheme": "normal", "std": 0.001},
        RNN,
        "and underflows to 0 at the first of 30 (std 0.001",
    ),
    (
        "std-too-large",
        {"scheme": "normal", "std": 1},
        (),
        "signal grows 4.2x per layer, to 3e2 times the input's",
    ),
    ("std-too-large", {"scheme": "sparse", "sparsity": 0.1, "std": 1}, DEEP, "signal grows 3.7x per layer"),
    ("std-too-large", {"scheme": "trunc_normal", "std": 1, "a": 2, "b": 9}, DEEP, "signal grows"),
    ("std-too-large", "uniform", DEEP, "to 2e14 times the input's size at the head (layer 13)"),
    (
        "std-too-large",
        {"scheme": "normal", "std": 1},
        TANH,
        "of the pre-activations of layer 1 lie where tanh is flat",
    ),
    (
        "std-too-large",
        {"scheme": "orthogonal", "gain": 2},
        (*TANH, "model.depth=60"),
        "gradient grows 1.2x per layer",
    ),
    ("std-too-large", {"scheme": "normal", "std": 10}, LSTM, "of the gates' pre-activations lie where sigmoid is flat"),
    ("std-too-large", {"scheme": "orthogonal", "gain": 3}, RNN, "the gradient grows 2.1x per time step"),
    (
        "gain-mismatch",
        "xavier_normal",
        (),
        "the gain is 1, relu takes 1.41: over 3 hidden layers signal 0.5x, gradient 0.5x of",
    ),
    (
        "gain-mismatch",
        "kaiming_normal",
        (*TANH, *WIDE, "model.depth=80"),
        "1.41, with which tanh settles at size 0.79 and gradients grow 1.05x per layer, ",
    ),
    ("gain-mismatch", FIVE_THIRDS, (*TANH, *WIDE, "model.depth=30"), "1.67, with which tanh settles at"),
    ("gain-mismatch", "xavier_normal", SILU, "the gain is 1, silu takes 1.68: over 10 hidden layers signal 0.00"),
    ("gain-mismatch", "edge_of_chaos", SILU, "is 2, silu takes 1.68"),
    ("std-too-small", {"scheme": "normal", "std": 1e-10}, DEEP, "per layer and underflows to 0 at layer 5 (std"),
    ("std-too-small", {"scheme": "normal", "std": 1e-200}, TANH, "the signal shrinks and underflows to 0 at layer 1"),
    ("std-too-small", {"scheme": "normal", "std": 1e-20}, RNN, "per time step on its way back and underflows to 0 at"),
    ("std-too-large", {"scheme": "normal", "std": 1e9}, DEEP, "per layer and overflows at layer 5 (std 1e+09"),
    ("gain-mismatch", FIVE_THIRDS, ("model.depth=5",), "the gain is 1.67, relu takes 1.41"),
    (
        "selu-gain",
        {"scheme": "orthogonal", "gain": "auto"},
        ("model.activation=selu",),
        "settles at size 0.15; only",
    ),
    ("selu-gain", {"scheme": "kaiming_normal", "nonlinearity": "selu"}, ("model.activation=selu",), "3/4"),
    ("identical-units", "zeros", (), "the 30 units of layers.0 begin equal and lead on by equal weights"),
    ("identical-units", ONE, (*TANH, "model.norm=batch"), "one unit for good"),
    ("identical-units", "ones", LSTM, "the 16 units of rnn begin equal"),
    ("identical-units", {"label": "x", "rules": MIDDLE, "others": "kaiming"}, (), "slope 0: they never get a gradient"),
    ("dead-units", {"scheme": "dirac", "fallback": "kaiming"}, CNN, "dirac leaves 15 of the 16 units of convs.1 at 0"),
    ("random-biases", {"label": "x", "rules": HEAD, "others": "pytorch_default"}, (), ""),
    ("forget-bias", "kaiming_normal", LSTM, "of the first of 30 steps the cell keeps 2e-09; a bias of 1 keeps 1e-04"),
    ("forget-bias", "pytorch_default", LSTM, "the forget gate begins at 0.5"),
    (
        "forget-bias",
        {"scheme": "orthogonal", "bias": "ones"},
        LSTM,
        "both biases, which PyTorch adds: 1 + 1 in",
    ),
    ("packed-gates", {"scheme": "orthogonal", "fan": "torch"}, LSTM, "rnn.weight_ih_l0 (64, 2) holds 4 gates"),
    ("one-scheme-for-all", "kaiming_normal", LSTM, "gives rnn.weight_hh_l0, which acts at every time step"),
    ("relies-on-default", "pytorch_default", (), "leaves all weights to PyTorch's default"),
    ("few-seeds", "kaiming_normal", ("seeds=1",), "one seed says nothing of chance"),
]
SILENT: list[tuple[str, Any, tuple[str, ...]]] = [
    ("std-too-small", "kaiming_normal", ("model.depth=100",)),
    ("std-too-small", "pytorch_default", ("model.depth=12", "model.norm=layer")),
    ("std-too-small", {"scheme": "orthogonal", "gain": "auto"}, RNN),
    ("std-too-small", "eye", DEEP),
    ("std-too-small", {"label": "x", "rules": HEAD, "others": "kaiming"}, DEEP),
    ("std-too-large", "kaiming_normal", DEEP),
    ("std-too-large", {"scheme": "normal", "std": 1}, ("model.norm=batch",)),
    ("std-too-large", "eye", ("model.depth=100",)),
    ("gain-mismatch", "kaiming_normal", ("model.activation=gelu",)),
    ("gain-mismatch", "xavier_normal", TANH),
    ("gain-mismatch", "xavier_normal", (*TANH, "model.depth=60")),
    ("gain-mismatch", "kaiming_normal", (*TANH, "model.depth=10")),
    ("gain-mismatch", FIVE_THIRDS, (*TANH, "model.depth=10")),
    ("gain-mismatch", "lecun_normal", ("model.activation=selu", "model.depth=30")),
    ("gain-mismatch", "pytorch_default", ()),
    ("gain-mismatch", "xavier_normal", ("model.depth=1",)),
    ("gain-mismatch", "xavier_normal", ("model.depth=30",)),  # too small, which says it already
    ("gain-mismatch", {"scheme": "normal", "std": 0.1}, ()),
    ("gain-mismatch", "edge_of_chaos", TANH),
    ("gain-mismatch", "looks_linear", ("model.activation=crelu",)),
    ("selu-gain", "lecun_normal", ("model.activation=selu",)),
    ("selu-gain", {"scheme": "orthogonal", "gain": 0.75}, ()),
    ("identical-units", {"label": "x", "rules": HEAD, "others": "kaiming"}, ()),
    ("identical-units", {"scheme": "constant", "val": 0.1, "bias": "default"}, ()),
    ("identical-units", {"label": "x", "rules": [{"params": "layers.0.*", **ONE}], "others": "kaiming"}, TANH),
    ("identical-units", "ones", ("model.depth=0",)),
    ("dead-units", {"scheme": "dirac", "fallback": "kaiming"}, (*CNN, "model.activation=tanh")),
    ("dead-units", "eye", ()),
    ("random-biases", "pytorch_default", ()),
    ("random-biases", {"scheme": "kaiming", "bias": "default"}, ()),
    ("random-biases", {"label": "x", "rules": HEAD, "others": "pytorch_default", "bias": "zeros"}, ()),
    ("random-biases", "siren", ("model.activation=sine",)),
    ("forget-bias", "forget_bias", LSTM),
    ("forget-bias", {"scheme": "chrono", "t_max": 30}, LSTM),
    ("forget-bias", {"scheme": "orthogonal", "forget_bias": 1}, LSTM),
    ("forget-bias", {"label": "x", "rules": RECURRENT, "others": "lecun_normal", "bias": FORGET}, LSTM),
    ("one-scheme-for-all", {"scheme": "kaiming_normal", "recurrent": "orthogonal"}, LSTM),
    ("std-too-small", {"scheme": "xavier_normal", "recurrent": {"scheme": "orthogonal", "gain": "relu"}}, RNN),
    ("std-too-large", {"scheme": "xavier_uniform", "recurrent": "orthogonal"}, LSTM),
    ("forget-bias", "kaiming_normal", GRU_LIKE),
    ("forget-bias", "kaiming_normal", (LSTM[0], "data={name: adding, length: 5, train_size: 128, test_size: 8}")),
    ("one-scheme-for-all", "xavier_normal", LSTM),
    ("one-scheme-for-all", "kaiming_normal", RNN),
    ("relies-on-default", "kaiming_normal", ()),
    ("few-seeds", "kaiming_normal", ("seeds=2",)),
    ("packed-gates", "orthogonal", LSTM),
    ("packed-gates", "keras_default", LSTM),
]


@pytest.mark.parametrize(("rule", "entry", "settings", "words"), SPEAKS)
def test_a_rule_speaks(rule: str, entry: Any, settings: tuple[str, ...], words: str) -> None:
    (one,) = of(entry, rule, *settings)
    assert words in one.reason
    assert one.cure


@pytest.mark.parametrize(("rule", "entry", "settings"), SILENT)
def test_a_rule_is_silent(rule: str, entry: Any, settings: tuple[str, ...]) -> None:
    assert of(entry, rule, *settings) == []


@pytest.mark.parametrize("model", [(), ("model.activation=selu", *DEEP), CNN, LSTM, RNN], ids=str)
def test_numbers_at_the_ends_of_their_range_do_no_harm(model: tuple[str, ...]) -> None:
    ends = [{"std": 1e-200}, {"std": 1e30}, {"std": 1e30, "mean": -1e30}, {"std": 1e-200, "mean": 1e-200}, {"std": 0}]
    entries = [
        {"scheme": "normal", "label": str(i), "bias": bias, **end} for i, end in enumerate(ends) for bias in BIASES
    ]
    labels = [{**entry, "label": str(index)} for index, entry in enumerate(entries)]
    assert checked(f"schemes={json.dumps(labels)}", *model).findings


@pytest.mark.parametrize("activation", ["silu", "gelu", "tanh"])
@pytest.mark.parametrize("depth", [3, 10, 25])
def test_a_gain_that_the_probe_lets_pass_is_no_warning(activation: str, depth: int) -> None:
    gains = {"1": 1.0, "he": 1.4, "5-3": 5 / 3, "2": 2.0}
    entries = [{"scheme": "xavier_normal", "label": label, "gain": gain} for label, gain in gains.items()]
    settings = (f"schemes={json.dumps(entries)}", f"model.activation={activation}", f"model.depth={depth}", *WIDE)
    made, verdicts = checked(*settings), probe_plan(plan_of(*settings, text=MLP), 1).verdicts
    warned = {label for one in made.warnings for label in one.labels}
    assert [label for label, found in verdicts.items() if label in warned and found.verdict == "healthy"] == []
    assert {one.severity for one in made.findings if one.rule == "gain-mismatch"} <= {"note"}


def test_every_rule_is_tried() -> None:
    assert {rule for rule, *_ in SPEAKS} | {"shared-lr"} == set(LINTS)


@pytest.mark.parametrize(
    "settings", [(), ("model={name: rnn, hidden: 8}", SEQUENCES)], ids=["feedforward", "recurrent"]
)
def test_weights_whose_variance_underflows_are_too_small(settings: tuple[str, ...]) -> None:
    rules = [
        {"params": "*weight_hh*", "scheme": "normal", "std": 1e-200},
        {"layers": "linear", "scheme": "lecun_normal"},
    ]
    recurrent = {"label": "tiny", "rules": rules, "others": "xavier_uniform"}
    tiny = recurrent if settings else {"scheme": "normal", "std": 1e-200}
    (one,) = of(tiny, "std-too-small", *settings)
    assert "shrinks" in one.reason and "and underflows to 0 at" in one.reason and " 0x" not in one.reason


def test_weights_that_a_plug_in_draws_are_foretold(tmp_path: Path) -> None:
    (tmp_path / "plug.py").write_text(TINY)
    with plugged([tmp_path / "plug.py"], "mlp", None):
        (one,) = of("tiny", "std-too-small")
    assert "shrinks 0.0043x per layer" in one.reason


def test_seeds_count_for_comparisons_and_claims() -> None:
    assert found("few-seeds", "seeds=5")[0].cure == "seeds: 6, or more"
    assert found("few-seeds", "seeds=6") == []
    claims = "claims=[kaiming_normal stuck, orthogonal stuck, kaiming_normal final_test_loss < 2]"
    assert "no claim can be decided with less than 6 seeds" in found("few-seeds", "seeds=5", claims)[0].reason
    one = "claims=[kaiming_normal stuck, share(orthogonal stuck) > 0.1]"
    assert "; no claim but those about shares can be decided with less than 5 seeds" in _reason("seeds=4", one)
    assert "no claim" not in _reason("seeds=5", one)
    assert "no claim" not in _reason("seeds=3", "claims=[share(orthogonal stuck) > 0.1]")


def _reason(*settings: str) -> str:
    return found("few-seeds", *settings)[0].reason


def test_seeds_count_for_shares() -> None:
    claims = "claims=[share(kaiming_normal stuck) > 0.9, share(kaiming_normal learned) > 0.4]"
    (one,) = found("few-seeds", "seeds=10", claims)
    assert one.reason == "with 10 seeds no share, however clear, supports share(kaiming_normal stuck) > 0.9"
    assert one.cure == "seeds: 36, or more, or wider bounds" and 2 * 0.9**36 < 0.05 < 2 * 0.9**35
    assert found("few-seeds", "seeds=36", claims) == []


def test_learning_rates_are_shared_only_by_weights_of_one_size() -> None:
    apart = "schemes=[{scheme: normal, label: small, std: 0.001}, {scheme: normal, label: wide, std: 0.5}, zeros]"
    (one,) = found("shared-lr", apart)
    assert one.severity == "note" and one.labels == ("small", "wide")
    assert "0.05 is the only learning rate, while layers.0.weight differs 500-fold" in one.reason
    assert found("shared-lr", apart, "train.lr=[0.01, 0.1]") == []
    assert found("shared-lr", "schemes=[pytorch_default, kaiming_normal, zeros]") == []


class Cell(nn.Module):
    """A recurrent net of a user's own: four gates in one matrix, and an embedding."""

    def __init__(self, vocab_size: int = 9, hidden: int = 8, num_classes: int = 4, activation: str = "relu") -> None:
        super().__init__()
        self.embedding, self.hidden = nn.Embedding(vocab_size, hidden), hidden
        self.weight_hh = nn.Parameter(torch.zeros(4 * hidden, hidden))
        self.up, self.head = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        start = self.embedding(x.abs().long() % 9).mean(1)
        return self.head(self.up(start) + start @ self.weight_hh.T)


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(MODELS, "cell", adapt("cell", Cell, "0" * 64))
    return "model={name: cell}"


def entry(scheme: str) -> dict[str, Any]:
    return {"label": "x", "rules": [{"params": "*weight_hh", "scheme": scheme}], "others": "as_built"}


def test_matrices_of_a_users_own_that_hold_gates(own: str) -> None:
    (one,) = of(entry("orthogonal"), "packed-gates", own)
    assert "weight_hh (32, 8) holds 4 gates that orthogonal fills as one matrix: std 0.18 instead of 0.35" in one.reason
    assert one.severity == "note"
    (xavier,) = of(entry("xavier_normal"), "packed-gates", own)
    assert "std 0.22 instead of 0.35" in xavier.reason
    assert of(entry("kaiming_normal"), "packed-gates", own) == []  # fan_in is that of each gate
    assert of(entry("zeros"), "packed-gates", own) == []


def test_embeddings_are_not_scaled_by_fans(own: str) -> None:
    plain = {"scheme": "xavier_normal", "others": "as_built"}
    (one,) = of(plain, "one-scheme-for-all", own)
    assert "scales embedding.weight (9, 8) by its fans" in one.reason and "std 0.34" in one.reason
    assert of({"scheme": "normal", "others": "as_built"}, "one-scheme-for-all", own) == []


def test_what_depends_on_the_order_of_layers_is_not_said_of_a_users_own(own: str) -> None:
    tiny = {"scheme": "normal", "std": 1e-6, "others": "as_built"}
    for rule in ("std-too-small", "gain-mismatch", "identical-units", "dead-units", "forget-bias"):
        assert of(tiny, rule, own) == []


def test_constant_weights_of_a_users_own_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def net(in_features: int, num_classes: int) -> nn.Module:
        return nn.Sequential(nn.Linear(in_features, 6), nn.ReLU(), nn.Linear(6, num_classes))

    monkeypatch.setitem(MODELS, "net", adapt("net", net, "0" * 64))
    (one,) = of("zeros", "identical-units", "model={name: net}")
    assert "all weights are constant" in one.reason
    assert of({"scheme": "constant", "val": 1, "bias": "default"}, "identical-units", "model={name: net}") == []


def test_what_a_biased_lstm_begins_with() -> None:
    """The numbers of forget-bias are those of torch's own layer."""
    lstm = nn.LSTM(3, 5)
    for parameter in lstm.parameters():
        nn.init.zeros_(parameter)
    for bias in (lstm.bias_ih_l0, lstm.bias_hh_l0):
        nn.init.ones_(bias)
    (one,) = of({"scheme": "orthogonal", "bias": "ones"}, "forget-bias", *LSTM)
    gate = torch.sigmoid(torch.tensor(2.0)).item()
    _, (_, cell) = lstm(torch.zeros(1, 1, 3), (torch.zeros(1, 1, 5), torch.ones(1, 1, 5)))
    assert torch.allclose(cell, torch.tensor(gate + gate * math.tanh(2.0)))
    assert f"begin at {gate:.2g} and the cell's candidate at {math.tanh(2.0):.2g}" in one.reason
