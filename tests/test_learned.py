"""Schemes that learn the size of each parameter tensor: gradinit and metainit."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from winit_cli.api.init import init
from winit_cli.errors import UsageError
from winit_cli.rng import generator
from winit_cli.schemes.quotient import gradient_quotient, twice_differentiable


def _data(features: int = 12, classes: int = 5) -> tuple[Tensor, Tensor]:
    """Classes around centres of their own."""
    y = torch.randint(classes, (96,), generator=generator("y"))
    centres = torch.randn(classes, features, generator=generator("centres"))
    return centres[y] + 0.3 * torch.randn(96, features, generator=generator("x")), y


def _dense(depth: int, activation: type[nn.Module], width: int = 16) -> nn.Sequential:
    sizes = [12, *[width] * depth]
    hidden = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), activation())]
    return nn.Sequential(*hidden, nn.Linear(width, 5))


class Sequences(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(3, 8, batch_first=True), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.rnn(x.unflatten(-1, (4, 3)))[0][:, -1])
        return out


NETS: dict[str, Any] = {
    "deep": lambda: _dense(12, nn.ReLU),
    "normed": lambda: nn.Sequential(nn.Linear(12, 9), nn.BatchNorm1d(9), nn.Tanh(), nn.Linear(9, 5)),
    "lstm": Sequences,
}


def _after_a_step(module: nn.Module, x: Tensor, y: Tensor, optimizer: str) -> tuple[float, float]:
    """Norm of the gradient, and the loss after the first step of the optimizer at the scheme's defaults."""
    parameters = dict(module.named_parameters())
    slopes = torch.autograd.grad(F.cross_entropy(module(x), y), list(parameters.values()))
    size = float(torch.cat([g.flatten() for g in slopes]).norm())
    if optimizer == "adam":
        size, steps = float(sum(g.abs().sum() for g in slopes)), [0.001 * g.sign() for g in slopes]
    else:
        steps = [0.1 * g / size for g in slopes]
    moved = {name: p - step for (name, p), step in zip(parameters.items(), steps, strict=True)}
    with torch.no_grad():
        return size, float(F.cross_entropy(functional_call(module, moved, (x,)), y))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", NETS)
def test_gradinit_lowers_the_loss_after_a_step_within_the_bound(name: str, optimizer: str) -> None:
    x, y = _data()
    plain, learned = NETS[name](), NETS[name]()
    init(plain, "kaiming_normal")
    init(learned, "gradinit", batch=(x, y), optimizer=optimizer, iterations=60, lr=0.02)
    (_, before), (size, after) = (_after_a_step(module, x, y, optimizer) for module in (plain, learned))
    assert after < before - 0.005
    assert size <= (1.0 if optimizer == "sgd" else 100.0)


def test_gradinit_brings_a_gradient_within_its_bound() -> None:
    x, y = _data()
    plain, learned = _dense(8, nn.ReLU), _dense(8, nn.ReLU)
    init(plain, "kaiming_normal")
    init(learned, "gradinit", batch=(x, y), bound=0.3, iterations=60, lr=0.02)
    assert _after_a_step(plain, x, y, "sgd")[0] > 0.5
    assert _after_a_step(learned, x, y, "sgd")[0] <= 0.3


def test_both_change_nothing_but_the_size_of_each_tensor() -> None:
    for scheme in ("gradinit", "metainit"):
        plain, learned = NETS["normed"](), NETS["normed"]()
        init(plain, "kaiming_normal")
        init(learned, scheme, batch=_data(), iterations=4, examples=16)
        for (name, a), (_, b) in zip(plain.named_parameters(), learned.named_parameters(), strict=True):
            factor = b.norm() / a.norm() if a.any() else torch.ones(())
            torch.testing.assert_close(b, a * factor, msg=name)
            changes = a.dim() > 1 or (scheme == "gradinit" and name == "1.weight")
            assert (float(factor.detach()) != 1) is changes, name


def _loss(module: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(module(x), y)


def _quotient(module: nn.Module, features: int = 12) -> float:
    """The mean over fresh random batches."""
    found = []
    for number in range(4):
        x = torch.randn(48, features, generator=generator("fresh x", number))
        y = torch.randint(5, (48,), generator=generator("fresh y", number))
        loss = partial(_loss, module, x, y)
        with twice_differentiable(module):
            found.append(gradient_quotient(loss, list(module.parameters())))
    return sum(found) / len(found)


@pytest.mark.parametrize("name", ["deep", "lstm"])
def test_metainit_lowers_the_gradient_quotient(name: str) -> None:
    plain, learned = NETS[name](), NETS[name]()
    init(plain, "kaiming_normal")
    init(learned, "metainit", batch=_data(), iterations=40, examples=48)
    assert _quotient(learned) < 0.8 * _quotient(plain)


def test_metainit_takes_real_targets_and_tokens() -> None:
    module = nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(12, 2))
    tokens = torch.randint(7, (20, 3), generator=generator("tokens"))
    table = init(module, "metainit", batch=(tokens, torch.randn(20, 2, generator=generator("y"))), iterations=2)
    assert set(table["scheme"]) == {"metainit", "zeros"}


@pytest.mark.parametrize("scheme", ["gradinit", "metainit"])
def test_what_they_refuse(scheme: str) -> None:
    x, y = _data()
    with pytest.raises(UsageError, match=rf"{scheme} looks at targets too: give batch=\(x, y\)"):
        init(_dense(1, nn.Tanh), scheme, batch=x)
    module = nn.Sequential(weight_norm(nn.Linear(12, 5)))
    with pytest.raises(UsageError, match=rf"{scheme} learns no scale for what has a parametrization, as 0\.weight has"):
        init(module, scheme, batch=(x, y))


class Distances(nn.Module):
    """With torch's cdist, which has one derivative."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cdist(self.layer(x), torch.eye(5), p=3.0)


def test_what_has_no_slope_is_refused() -> None:
    x, y = _data()
    with pytest.raises(UsageError, match=r"metainit needs derivatives that torch lacks for this model"):
        init(Distances(), "metainit", batch=(x, y))
    with pytest.raises(UsageError, match="gradinit has no slope to follow: the loss or its derivatives are no finite"):
        init(_dense(2, nn.ReLU), "gradinit", batch=(torch.full_like(x, 3e38), y))


@pytest.mark.parametrize("scheme", ["gradinit", "metainit"])
def test_a_rule_has_them_scale_their_own_layers_alone(scheme: str) -> None:
    module, plain = _dense(3, nn.Tanh), _dense(3, nn.Tanh)
    recipe = {
        "rules": [{"params": "0.weight", "scheme": scheme, "iterations": 3, "examples": 16}],
        "others": "orthogonal",
    }
    init(module, recipe, batch=_data())
    init(plain, {"rules": [{"params": "0.weight", "scheme": "kaiming_normal"}], "others": "orthogonal"})
    same = {name: torch.equal(a, plain.get_parameter(name)) for name, a in module.named_parameters()}
    assert not same.pop("0.weight") and all(same.values())
