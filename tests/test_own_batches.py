"""What is given to ``winit.init`` beside the module: batches and losses that cannot be used, and errors inside."""

from __future__ import annotations

import re
import warnings
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

from winit_cli.api.init import init
from winit_cli.errors import UsageError
from winit_cli.foreign import ForeignError
from winit_cli.rng import generator
from winit_cli.schemes import SCHEMES, Scheme
from winit_cli.schemes.recipe import Use

X = torch.randn(8, 4, generator=generator("x"))
Y = torch.arange(8) % 3


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))


KINDS = r"expected a tensor of inputs \(B, …\), or a tuple of inputs and targets"
WRONG: dict[str, tuple[Any, Any, str]] = {
    "list": ([X, Y], None, f"batch is a list, {KINDS}"),
    "nested lists": ([[1.0, 2.0, 3.0, 4.0]], None, f"batch is a list, {KINDS}"),
    "dict": ({"x": X}, None, f"batch is a dict, {KINDS}"),
    "array": (X.numpy(), None, f"batch is a ndarray, {KINDS}"),
    "one in a tuple": ((X,), None, rf"batch is a tuple of \(Tensor\), {KINDS}"),
    "three": ((X, Y, Y), None, rf"batch is a tuple of \(Tensor, Tensor, Tensor\), {KINDS}"),
    "targets as a list": ((X, [0] * 8), None, rf"batch is a tuple of \(Tensor, list\), {KINDS}"),
    "one number": (torch.tensor(1.0), None, r"inputs of shape \(\), expected \(B, …\) with one example or more"),
    "no examples": (X[:0], None, r"inputs of shape \(0, 4\), expected \(B, …\) with one example or more"),
    "too few targets": (
        (X, Y[:5]),
        None,
        r"\(8, 4\) and targets of shape \(5,\), expected .* one for each of 8 inputs",
    ),
    "one target": ((X, torch.tensor(3)), None, r"targets of shape \(\), expected targets"),
    "loss as a number": (
        X,
        3,
        "loss is 3, expected a function of outputs and targets, or one of cross_entropy, binary_cross_entropy, mse",
    ),
    "loss as a class": ((X, Y), nn.CrossEntropyLoss, "loss is <class .*, expected a function of outputs and targets"),
    "loss without targets": (X, "msee", "unknown loss 'msee'; did you mean 'mse'?"),
    "loss without a batch": (None, "msee", "unknown loss 'msee'"),
}


@pytest.mark.parametrize("name", list(WRONG))
@pytest.mark.parametrize("scheme", ["kaiming_normal", "lsuv"])
def test_a_batch_or_loss_of_another_kind(scheme: str, name: str) -> None:
    batch, loss, message = WRONG[name]
    module = net()
    before = [parameter.clone() for parameter in module.parameters()]
    with warnings.catch_warnings(), pytest.raises(UsageError, match=message) as found:
        warnings.simplefilter("error")
        init(module, scheme, batch=batch, loss=loss)
    assert "\n" not in str(found.value)
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


def _raises(out: Tensor, y: Tensor) -> Tensor:
    raise ValueError("no\nmore")


UNFIT: dict[str, tuple[str, Any, Any, str]] = {
    "width": (
        "lsuv",
        X[:, :3],
        None,
        r"of shape \(8, 3\) \(float32 on cpu\) for Sequential \(float32 on cpu\), raised Ru",
    ),
    "double": (
        "lsuv",
        X.double(),
        None,
        r"\(float64 on cpu\) for Sequential \(float32 on cpu\), raised RuntimeError: .*",
    ),
    "whole": ("lsuv", X.long(), None, r"\(int64 on cpu\) for Sequential \(float32 on cpu\), raised RuntimeError: .*"),
    "elsewhere": ("lsuv", X.to("meta"), None, r"\(float32 on meta\) for Sequential \(float32 on cpu\), raised R"),
    "targets": (
        "gradinit",
        (X, X),
        None,
        r"and targets of shape \(8, 4\) \(float32 on cpu\) for .*raised RuntimeError: ",
    ),
    "loss": ("gradinit", (X, Y), _raises, r"test_own_batches\.py:\d+: scheme gradinit, .* raised ValueError: no$"),
    "no loss": ("gradinit", (X, Y), lambda out, y: None, "the loss of a batch is a NoneType, expected a scalar"),
    "losses": ("gradinit", (X, Y), nn.CrossEntropyLoss(reduction="none"), r"is a tensor of shape \(8,\), expected"),
}


@pytest.mark.parametrize("name", list(UNFIT))
def test_a_batch_or_loss_that_does_not_fit_the_module(name: str) -> None:
    scheme, batch, loss, message = UNFIT[name]
    with pytest.raises(UsageError, match=message) as found:
        init(net(), scheme, batch=batch, loss=loss)
    assert "\n" not in str(found.value)


def test_errors_of_a_fit_name_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    def choose(slot: Any) -> Use:
        return Use("zeros")

    def fit(fitting: Any) -> None:
        raise KeyError("gone")

    monkeypatch.setitem(SCHEMES, "mine", Scheme("mine", choose=choose, fit=fit, source="x"))
    with pytest.raises(ForeignError, match=r"test_own_batches\.py:\d+: scheme mine, .* raised KeyError: 'gone'"):
        init(net(), "mine", batch=X)


def test_a_layer_that_is_not_called_has_a_cure_to_paste() -> None:
    """Attention uses the weight of its last projection without calling that layer."""
    module = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Flatten(), nn.Linear(40, 3))
    x = torch.randn(6, 5, 8, generator=generator("tokens"))
    with pytest.raises(UsageError, match=r"its layer is not called as a module in the forward pass") as found:
        init(module, "lsuv", batch=x)
    cure = re.search(r"e\.g\. (rules: .*)", str(found.value))
    assert cure is not None and "0.self_attn.out_proj.weight" in cure[1]
    entry = yaml.safe_load(f"{{{cure[1]}}}")
    table = init(module, entry, batch=x).set_index("param")
    assert table.loc["0.self_attn.out_proj.weight", "scheme"] == "orthogonal"
    assert table.loc["0.linear1.weight", "scheme"] == "lsuv"
