"""Parameters in odd forms: what was there stays where it is promised to, and nothing makes a trial fall over."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import winit_cli as winit
from winit_cli.errors import WinitError

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated", "ignore:Initializing zero-element")

MODULES: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(3, 2),
    "older weight norm": lambda: nn.utils.weight_norm(nn.Linear(3, 2)),
    "weight norm": lambda: parametrizations.weight_norm(nn.Linear(3, 2)),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Linear(3, 2)),
    "recurrent weight norm": lambda: parametrizations.weight_norm(nn.LSTM(3, 4), "weight_hh_l0"),
    "attention": lambda: nn.MultiheadAttention(6, 2, add_bias_kv=True),
    "attention apart": lambda: nn.MultiheadAttention(6, 2, kdim=4, vdim=5),
    "encoder": lambda: nn.TransformerEncoderLayer(6, 2, 8),
    "projected": lambda: nn.LSTM(3, 4, proj_size=2, bidirectional=True),
    "batch norm": lambda: nn.BatchNorm1d(3),
    "bilinear": lambda: nn.Bilinear(2, 3, 4),
    "no inputs": lambda: nn.Linear(0, 3),
    "no outputs": lambda: nn.Linear(3, 0),
    "empty and scalar": lambda: nn.ParameterList([torch.empty(0), torch.tensor(2.0)]),
    "whole numbers": lambda: nn.ParameterList([nn.Parameter(torch.arange(3), requires_grad=False), torch.ones(2)]),
    "softmax": lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 20, [5, 10]),
    "padded": lambda: nn.Embedding(5, 3, padding_idx=0),
}
# what can be copied to be reset; the older weight norm holds a computed tensor
RESETTABLE = [name for name in MODULES if name != "older weight norm"]


def made(name: str) -> nn.Module:
    """A module whose parameters are none that a constructor makes."""
    torch.manual_seed(0)
    module = MODULES[name]()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.is_floating_point():
                parameter.add_(torch.rand_like(parameter))
    return module


@pytest.mark.parametrize("name", list(MODULES))
def test_as_built_changes_nothing(name: str) -> None:
    module = made(name)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    winit.init(module, "as_built")
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key]), key


@pytest.mark.parametrize("scheme", ["pytorch_default", "kaiming_normal"])
@pytest.mark.parametrize("name", RESETTABLE)
def test_others_as_built_covers_everything(name: str, scheme: str) -> None:
    module = made(name)
    table = winit.init(module, scheme, others="as_built")
    assert set(table["param"]) == {key for key, _ in module.named_parameters(remove_duplicate=False)}


@pytest.mark.parametrize("name", RESETTABLE)
def test_the_default_fills_or_says_what_it_cannot(name: str) -> None:
    module = made(name)
    try:
        winit.init(module, "pytorch_default")
    except WinitError as error:
        assert "no rule covers" in str(error)


@pytest.mark.parametrize("scheme", ["pytorch_default", "orthogonal", "as_built"])
@pytest.mark.parametrize("name", ["weight norm", "spectral norm", "recurrent weight norm", "attention", "encoder"])
def test_a_module_works_as_before_after_it_was_filled(name: str, scheme: str) -> None:
    module = made(name)
    kind, keys = type(module), list(module.state_dict())
    winit.init(module, scheme, others="as_built")
    assert type(module) is kind and list(module.state_dict()) == keys
    x = torch.randn(4, 2, 6 if name in ("attention", "encoder") else 3)
    out = module(x, x, x) if name == "attention" else module(x)
    (out[0] if isinstance(out, tuple) else out).sum().backward()
    assert all(value.grad is not None for value in module.parameters())
    copy.deepcopy(module.state_dict())


def test_a_frozen_part_of_a_parametrized_weight_keeps_its_values() -> None:
    """As in DINO's head, whose norms are 1 and frozen."""
    module = parametrizations.weight_norm(nn.Linear(3, 4))
    norms = module.parametrizations.weight.original0
    norms.data.fill_(1)
    norms.requires_grad_(False)
    table = winit.init(module, "kaiming_normal").set_index("param")
    assert torch.equal(norms, torch.ones(4, 1))
    assert "frozen" in table.loc["parametrizations.weight.original0", "rule"]


def test_a_frozen_name_of_shared_memory_keeps_its_values_or_is_said_to_be_filled() -> None:
    module = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    module[1].weight = nn.Parameter(module[0].weight.data, requires_grad=False)
    before = module[1].weight.clone()
    found = winit.init(module, "kaiming_normal").set_index("param")
    assert torch.equal(before, module[1].weight) or found.loc["1.weight", "rule"] == "tied to 0.weight"


def test_a_rule_may_use_either_name_of_a_tied_parameter() -> None:
    module = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5))
    module[1].weight = module[0].weight
    found = winit.init(module, {"rules": [{"params": "1.weight", "scheme": "ones"}], "others": "as_built"})
    assert set(found.query("param in ('0.weight', '1.weight')")["scheme"]) == {"ones"}


def test_a_layer_with_a_reset_of_its_own_is_not_expected_to_be_torchs() -> None:
    class Constant(nn.Linear):
        def reset_parameters(self) -> None:
            nn.init.constant_(self.weight, 2.0)
            nn.init.constant_(self.bias, 3.0)

    table = winit.init(Constant(2, 2), "pytorch_default").set_index("param")
    assert list(table["mean"]) == [2.0, 3.0] and table["expected_std"].isna().all()


def test_a_reset_that_needs_arguments_is_no_default() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.ones(3))

        def reset_parameters(self, value: float) -> None:
            nn.init.constant_(self.factor, value)

    with pytest.raises(WinitError, match="factor"):
        winit.init(Scale(), "pytorch_default")


@pytest.mark.parametrize("scheme", ["kaiming_normal", "orthogonal", "pytorch_default"])
def test_transposed_memory_is_filled_like_any_other(scheme: str) -> None:
    plain, other = nn.LSTM(3, 4), nn.LSTM(3, 4)
    other.weight_hh_l0 = nn.Parameter(torch.zeros(4, 16).t())
    found: list[Any] = [list(winit.init(module, scheme)["sha256"]) for module in (plain, other)]
    assert found[0] == found[1]
    assert not other.weight_hh_l0.is_contiguous()
