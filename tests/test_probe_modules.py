"""winit.probe: any module, measured and left as it is."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from zoo import Attentive

import winit_cli as winit
from winit_cli.errors import WinitError
from winit_cli.probe.observe import Observer

X = torch.randn(32, 3, 8, 8, generator=torch.Generator().manual_seed(0))
Y = torch.arange(32) % 4


class Functional(nn.Module):
    """Activations as functions and methods, one of them in place, a residual branch, dropout, a norm layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        self.dropout = nn.Dropout(0.5)
        self.branch, self.last = nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6, 4)
        self.calls = nn.Linear(4, 4)
        self.drawn = 0.0

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.conv(x)), inplace=True)
        x = x + self.branch(x).tanh_()
        self.drawn = float(torch.rand(())) + float(np.random.rand()) + random.random()
        out = self.last(self.dropout(x).mean((2, 3)))
        return self.calls(self.calls(out).sigmoid())


class Tokens(nn.Module):
    """An embedding and attention."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(5, 8))
        self.embedding = nn.Embedding(11, 8)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.block(self.embedding(x) + self.table).mean(1))


def snapshot(module: nn.Module) -> list[Any]:
    tensors = [*module.state_dict().values(), *(p.grad for p in module.parameters() if p.grad is not None)]
    norms = [inner.momentum for inner in module.modules() if isinstance(inner, nn.BatchNorm2d)]
    hooks = [len(inner._forward_hooks) + len(inner._forward_pre_hooks) for inner in module.modules()]
    states = [torch.get_rng_state(), torch.from_numpy(np.random.get_state()[1].astype(np.int64))]
    return [
        [t.clone() for t in tensors + states],
        [m.training for m in module.modules()],
        norms,
        hooks,
        random.getstate(),
    ]


def equal(a: list[Any], b: list[Any]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a[0], b[0], strict=True)) and a[1:] == b[1:]


@pytest.mark.parametrize("training", [True, False])
def test_the_module_is_left_as_it_is(training: bool) -> None:
    module = Functional()
    module(X).sum().backward()
    module.train(training)
    module.norm.eval()
    before, x = snapshot(module), X.clone()
    found = winit.probe(module, X, Y)
    assert equal(before, snapshot(module)) and torch.equal(x, X)
    assert all(a is b for a, b in zip(module.buffers(), module.buffers(), strict=True))
    assert winit.probe(module, X, Y).table.equals(found.table)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            assert winit.probe(module, X, Y).table.equals(found.table)


def test_it_is_left_as_it_is_after_an_error() -> None:
    module = Functional()
    before = snapshot(module)
    with pytest.raises(WinitError, match="the loss raised ZeroDivisionError"):
        winit.probe(module, X, Y, lambda out, y: 1 / 0)
    with pytest.raises(WinitError, match=r"forward of Functional, called with one tensor of shape .2, 9., raised"):
        winit.probe(module, torch.zeros(2, 9))
    assert equal(before, snapshot(module))


def test_activations_are_found_wherever_they_are() -> None:
    observer, module = Observer(module := Functional()), module
    with observer:
        module(X)
    found = {layer.path: (layer.depth, layer.activation_name) for layer in observer.layers}
    assert found == {"conv": (1, "relu"), "branch": (2, "tanh"), "last": (3, "linear"), "calls": (4, "sigmoid")}
    (normed,) = observer.layers[0].outputs
    assert float(normed.detach().min()) < 0  # as it was before relu changed it in place
    assert float(normed.detach().mean()) == pytest.approx(0, abs=1e-5)
    assert len(observer.layers[3].outputs) == 2


def test_tokens_and_attention() -> None:
    x = torch.arange(60).reshape(12, 5) % 11
    found = winit.probe(Tokens(), x, torch.arange(12) % 3)
    rows = found.table.set_index(["layer", "metric"])
    assert rows.loc[("block.linear1", "act_mean_square"), "value"] > 0
    assert rows.loc[("head", "jacobian_sq_sv_mean"), "value"] > 0
    assert rows.loc[("block.self_attn.out_proj.weight", "grad_norm"), "depth"] == 2
    assert rows.loc[("table", "grad_norm"), "depth"] == 1
    assert np.isnan(rows.loc[("embedding", "layer_gain"), "value"])


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Linear(8, 4),
        lambda: nn.Sequential(nn.Conv1d(3, 5, 3), nn.PReLU(5), nn.Flatten(1), nn.Linear(30, 4)),
        lambda: nn.Sequential(nn.LSTM(8, 6, batch_first=True), First(), nn.Linear(6, 4)),
        lambda: nn.Sequential(nn.GRU(8, 6), First(), nn.Linear(6, 4)),
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(8, 6)), nn.SELU(), nn.Linear(6, 4)),
        lambda: nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(8, 6)), nn.ReLU6(), nn.Linear(6, 4)),
        lambda: nn.Sequential(nn.ConvTranspose1d(3, 6, 3, groups=3), nn.Hardswish(), nn.Flatten(1), nn.Linear(60, 4)),
        lambda: Attentive().encoder,
    ],
)
def test_layers_of_all_kinds(make: Any) -> None:
    module = make()
    first = next(m for m in module.modules() if next(m.parameters(recurse=False), None) is not None)
    x = X[:, 0] if isinstance(first, nn.Linear | nn.RNNBase | nn.MultiheadAttention) else X[:, :, 0]
    found = winit.probe(module, x)
    assert found.verdict == "healthy"
    may_be_infinite = found.table["metric"].isin(["gradient_quotient", "jacobian_condition"])
    values = found.table[~may_be_infinite].set_index("metric")["value"]
    assert np.isfinite(values).all()
    assert {"pre_mean_square", "grad_norm", "jacobian_sq_sv_max", "gradient_rank"} <= set(values.index)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "make",
    [
        Tokens,
        lambda: nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Linear(8, 3)),
        lambda: SelfAttention(),
        lambda: nn.Sequential(nn.Linear(8, 6), nn.Linear(6, 3)),
        lambda: nn.Sequential(nn.LSTM(8, 6, batch_first=True), Last(), nn.Linear(6, 3)),
    ],
    ids=["tokens", "transformer", "attention", "linear", "last state"],
)
def test_precisions_and_modes(make: Any, training: bool, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    module = make().to(dtype).train(training)
    takes_tokens = isinstance(module, Tokens)
    x = torch.arange(60).reshape(12, 5) % 11 if takes_tokens else X[:12, 0].to(dtype)
    found = winit.probe(module, x)
    assert found.verdict == "healthy"
    values = found.table.set_index("metric")["value"]
    assert np.isnan(values["layer_gain"].iloc[0]) == takes_tokens  # which have no size
    assert np.isfinite(values["layer_gain"].iloc[1:]).all()
    assert np.isfinite(values.drop(["layer_gain", "jacobian_condition"])).all()


class SelfAttention(nn.Module):
    """Attention that drops weights by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.attention(x, x, x)[0])


class Last(nn.Module):
    """The last state of a recurrent layer, which it gives beside its outputs."""

    def forward(self, x: tuple[Tensor, Any]) -> Tensor:
        return x[1][0][-1]


def test_layers_before_which_nothing_trains_have_no_gradient_and_are_not_blamed() -> None:
    module = nn.Sequential(nn.LSTM(8, 6, batch_first=True).requires_grad_(False), Last(), nn.Linear(6, 3))
    found = winit.probe(module, X[:, 0])
    assert found.verdict == "healthy"
    rows = found.table[found.table["metric"] == "grad_norm"]
    assert set(rows["layer"]) == {"2", "2.weight", "2.bias"}


def test_dropout_inside_attention_is_off_and_on_again() -> None:
    module = SelfAttention()
    found = winit.probe(module, X[:, 0])
    assert module.attention.dropout == 0.5
    assert found.table.equals(winit.probe(module.eval(), X[:, 0]).table)


class First(nn.Module):
    """The states of a recurrent layer."""

    def forward(self, x: tuple[Tensor, Any]) -> Tensor:
        return x[0]


def test_frozen_weights_have_no_gradient() -> None:
    module = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)).requires_grad_(False)
    found = winit.probe(module, X[:, 0, 0])
    assert "grad_norm" not in set(found.table["metric"])
    assert found.verdict == "healthy" and "not the cause" not in found.advice
    assert found.advice.endswith("no parameter trains (requires_grad), so that no gradient was seen")


def test_what_it_returns() -> None:
    module = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    winit.init(module, "zeros")
    found = winit.probe(module, X[:, 0, 0], loss=lambda out: out.exp().mean())
    assert found.verdict == "symmetric"
    assert list(found.table) == ["label", "seed", "layer", "depth", "metric", "value"]
    assert list(found.verdicts) == ["label", "verdict", "layer", "metric", "value", "advice"]
    assert found.verdicts.loc[0, "advice"] == found.advice
    assert repr(found) == f"symmetric from 0 on: {found.advice}"
    winit.init(module, "kaiming_normal")
    healthy = winit.probe(module, X[:, 0, 0], torch.zeros(32, 2))
    assert "probably not the cause" in healthy.advice and "learning rate" in healthy.advice


@pytest.mark.parametrize(
    ("module", "x", "message"),
    [
        ("net", X, "winit.probe takes an nn.Module, got str"),
        (nn.Linear(8, 2), np.zeros((4, 8)), "x is ndarray, expected a tensor"),
        (nn.Linear(8, 2), torch.zeros(0, 8), r"x is a tensor of shape \(0, 8\), expected"),
        (nn.Linear(8, 2), torch.full((4, 8), torch.nan), "not finite"),
        (nn.Linear(8, 2, bias=False), torch.zeros(4, 8), "all 4 examples are zero everywhere"),
        (nn.Linear(8, 2), torch.ones(4, 8), "all 4 examples are equal, so nothing could be told apart"),
        (nn.Embedding(5, 2), torch.zeros(4, dtype=torch.long), "all 4 examples are equal"),
        (nn.Flatten(), X, "Flatten called no layer with weights"),
        (nn.LazyLinear(2), X, "has no shape before a first forward pass"),
    ],
)
def test_what_it_refuses(module: Any, x: Any, message: str) -> None:
    with pytest.raises(WinitError, match=message):
        winit.probe(module, x)


class Residual(nn.Module):
    """Branches that begin at zero, as zero-init residual networks have them (Goyal et al. 2017, arXiv:1706.02677)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(8, 8), nn.Linear(8, 3)
        self.branches = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))
        for branch in self.branches:
            winit.init(branch, "zeros")

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for branch in self.branches:
            x = x + branch(x.relu())
        return self.head(x)


def test_a_branch_of_zeros_does_not_stop_the_signal_that_goes_around_it() -> None:
    module = Residual()
    found = winit.probe(module, X[:, 0, 0], Y % 3)
    assert found.table.set_index(["layer", "metric"])["value"]["branches.2", "pre_mean_square"] == 0
    assert found.verdict == "healthy"
    winit.init(module.head, "zeros")
    waiting = winit.probe(module, X[:, 0, 0], Y % 3)
    assert waiting.verdict == "healthy" and "the head is zero" in waiting.advice
    winit.init(module.head, "kaiming_normal")
    winit.init(module.stem, "normal", std=1e-9)
    assert winit.probe(module, X[:, 0, 0], Y % 3).verdict == "vanishing"


def test_sparse_gradients() -> None:
    module = nn.Sequential(nn.EmbeddingBag(11, 8, sparse=True), nn.Linear(8, 3))
    module(TOKENS := torch.arange(60).reshape(12, 5) % 11)
    found = winit.probe(module, TOKENS, torch.arange(12) % 3).table.set_index(["layer", "metric"])["value"]
    dense = nn.Sequential(nn.EmbeddingBag(11, 8), nn.Linear(8, 3))
    dense.load_state_dict(module.state_dict())
    same = winit.probe(dense, TOKENS, torch.arange(12) % 3).table.set_index(["layer", "metric"])["value"]
    assert found["0.weight", "grad_norm"] == pytest.approx(same["0.weight", "grad_norm"])
    assert found["0.weight", "grad_norm"] > 0
