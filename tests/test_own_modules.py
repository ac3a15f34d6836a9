"""Modules that are not winit's: tied, frozen, parametrized, unknown, packed and lazy parameters."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import winit_cli as winit
from winit_cli.errors import ConfigError, UsageError
from winit_cli.schemes.apply import assign
from winit_cli.schemes.recipe import Recipe, Use
from winit_cli.schemes.slots import slots


class Tied(nn.Module):
    """An embedding whose weight is the head's too, a frozen layer, and a token that no scheme knows."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 6))
        self.embedding = nn.Embedding(9, 6)
        self.frozen = nn.Linear(6, 6).requires_grad_(False)
        self.body = nn.Linear(6, 6)
        self.head = nn.Linear(6, 9)
        self.head.weight = self.embedding.weight

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.embedding(x).mean(dim=1) + self.token[0]
        out: Tensor = self.head(torch.relu(self.body(self.frozen(hidden))))
        return out


def rows(table: Any) -> dict[str, tuple[str, str]]:
    return {row.param: (row.scheme, row.rule) for row in table.itertuples()}


def values(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters(remove_duplicate=False)}


def test_tied_frozen_and_unknown_parameters_keep_their_state_and_are_listed() -> None:
    module = Tied()
    before = values(module)
    found = rows(winit.init(module, "kaiming_normal", others="as_built"))
    assert found == {
        "token": ("as_built", "others"),
        "embedding.weight": ("kaiming_normal", "scheme"),
        "frozen.weight": ("as_built", "frozen"),
        "frozen.bias": ("as_built", "frozen"),
        "body.weight": ("kaiming_normal", "scheme"),
        "body.bias": ("zeros", "bias"),
        "head.bias": ("zeros", "bias"),
        "head.weight": ("kaiming_normal", "tied to embedding.weight"),
    }
    after = values(module)
    assert module.head.weight is module.embedding.weight
    for name in ("token", "frozen.weight", "frozen.bias"):
        assert torch.equal(before[name], after[name])
    assert not torch.equal(before["body.weight"], after["body.weight"])


@pytest.mark.parametrize("scheme", ["as_built", "pytorch_default"])
def test_a_bias_beside_a_tied_weight_goes_with_it(scheme: str) -> None:
    module = Tied()
    before = module.head.bias.detach().clone()
    found = rows(winit.init(module, scheme, others="as_built"))
    assert found["head.bias"][0] == scheme
    assert torch.equal(before, module.head.bias) is (scheme == "as_built")
    assert module.head.bias.abs().sum() > 0


def test_a_bias_beside_a_frozen_weight_stays() -> None:
    module = nn.Linear(3, 4)
    module.weight.requires_grad_(False)
    before = module.bias.detach().clone()
    assert rows(winit.init(module, "kaiming_normal")) == {
        "weight": ("as_built", "frozen"),
        "bias": ("as_built", "beside a frozen weight"),
    }
    assert torch.equal(before, module.bias)


def test_parameters_that_share_memory_are_filled_once() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    module[1].weight = nn.Parameter(module[0].weight.data)
    found = rows(winit.init(module, "kaiming_normal"))
    assert found["1.weight"] == ("kaiming_normal", "tied to 0.weight")
    assert torch.equal(module[0].weight, module[1].weight)


def test_all_unknown_parameters_are_listed_at_once_with_rules_to_paste() -> None:
    module = nn.ParameterDict({"scale": torch.tensor(2.0), "table": torch.zeros(3, 2)})
    module.add_module("body", nn.Linear(2, 2))
    with pytest.raises(ConfigError) as caught:
        assign(slots(module), Recipe("normal", others=Use("normal", {"mean": 0.0, "std": 0.1})))
    said = str(caught.value)
    assert said.startswith(
        "no rule covers scale (), table (3, 2); keep what the constructor made with others: as_built"
    )
    assert '- {params: "scale", scheme: as_built}' in said and '- {params: "table", scheme: as_built}' in said
    assert said.endswith("others: {scheme: normal, mean: 0.0, std: 0.1}")


def test_a_plain_default_fills_a_layer_of_ones_own_that_can_reset_itself() -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.empty(5))
            self.reset_parameters()

        def reset_parameters(self) -> None:
            nn.init.uniform_(self.factor, 1, 2)

    module = Scale()
    assert rows(winit.init(module, "pytorch_default", seed=1)) == {"factor": ("pytorch_default", "scheme")}
    first = module.factor.detach().clone()
    winit.init(module, "pytorch_default", seed=1)
    assert torch.equal(first, module.factor) and bool((first >= 1).all())
    with pytest.raises(ConfigError, match=r"no rule covers factor \(5,\)"):
        winit.init(module, "kaiming_normal")


@pytest.mark.parametrize("scheme", ["kaiming_normal", "pytorch_default"])
def test_weight_norm_is_set_so_that_the_weight_is_what_the_scheme_draws(scheme: str) -> None:
    plain = nn.Sequential(nn.Linear(5, 4))
    module = nn.Sequential(parametrizations.weight_norm(nn.Linear(5, 4)))
    winit.init(plain, scheme, seed=2)
    found = rows(winit.init(module, scheme, seed=2))
    assert found["0.parametrizations.weight.original0"] == (scheme, "scheme, through 0.weight")
    torch.testing.assert_close(module[0].weight, plain[0].weight)
    assert list(found) == [name for name, _ in module.named_parameters()]
    assert isinstance(module[0], nn.Linear) and hasattr(module[0], "parametrizations")


@pytest.mark.parametrize("kind", [parametrizations.spectral_norm, parametrizations.orthogonal])
def test_other_parametrizations_stay_and_give_other_weights_for_other_seeds(kind: Any) -> None:
    torch.manual_seed(0)
    module = kind(nn.Linear(4, 4))
    seen = []
    for seed in (0, 1, 0):
        winit.init(module, "xavier_normal", seed=seed)
        seen.append(copy.deepcopy(module).eval().weight.detach().clone())
    assert not torch.allclose(seen[0], seen[1]) and torch.allclose(seen[0], seen[2])


def test_a_parametrization_that_takes_no_weight_is_refused() -> None:
    class Symmetric(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + x.T

    module = nn.Linear(3, 3)
    nn.utils.parametrize.register_parametrization(module, "weight", Symmetric())
    with pytest.raises(UsageError, match="weight has a parametrization that takes no given weight"):
        winit.init(module, "xavier_normal")


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_the_older_weight_norm_is_no_weight_that_a_scheme_knows() -> None:
    module = nn.utils.weight_norm(nn.Linear(3, 2))
    with pytest.raises(ConfigError, match=r"no rule covers weight_g \(2, 1\), weight_v \(2, 3\)"):
        winit.init(module, "kaiming_normal")


ATTENTION = {
    "packed": (nn.MultiheadAttention(6, 2), {"in_proj_weight": 3, "out_proj.weight": 1}),
    "apart": (
        nn.MultiheadAttention(6, 2, kdim=4, vdim=5, bias=False),
        {"q_proj_weight": 1, "k_proj_weight": 1, "v_proj_weight": 1, "out_proj.weight": 1},
    ),
}


@pytest.mark.parametrize("name", list(ATTENTION))
def test_attention_is_filled_projection_by_projection(name: str) -> None:
    module, blocks = ATTENTION[name]
    assert {slot.name: slot.blocks for slot in slots(module) if slot.kind == "linear"} == blocks
    winit.init(module, "orthogonal")
    for slot in slots(module):
        if slot.kind == "linear":
            for view in slot.views():
                small = view if view.shape[0] <= view.shape[1] else view.T
                torch.testing.assert_close(small @ small.T, torch.eye(len(small)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", list(ATTENTION))
def test_the_default_of_attention_is_torchs(name: str) -> None:
    module = copy.deepcopy(ATTENTION[name][0])
    table = winit.init(module, "pytorch_default").set_index("param")
    drawn = [key for key in table.index if key.endswith("weight")]
    for key in drawn:
        assert 0.7 < table.loc[key, "std"] / table.loc[key, "expected_std"] < 1.3, key
    biases = [key for key in table.index if key.endswith("bias")]
    assert all(table.loc[key, "std"] == table.loc[key, "expected_std"] == 0 for key in biases)


def test_tokens_of_attention_are_unknown() -> None:
    module = nn.MultiheadAttention(6, 2, add_bias_kv=True)
    assert {slot.name for slot in slots(module) if slot.kind == "other"} == {"bias_k", "bias_v"}


KINDS: list[tuple[nn.Module, dict[str, tuple[str, int]]]] = [
    (nn.LSTMCell(3, 4), {"weight_ih": ("recurrent", 4), "bias_hh": ("bias", 4)}),
    (nn.GRUCell(3, 4), {"weight_hh": ("recurrent", 3)}),
    (nn.RNNCell(3, 4), {"weight_hh": ("recurrent", 1)}),
    (nn.LSTM(3, 4, 2, bidirectional=True), {"weight_ih_l1_reverse": ("recurrent", 4), "bias_ih_l0": ("bias", 4)}),
    (nn.EmbeddingBag(5, 3), {"weight": ("embedding", 1)}),
    (nn.RMSNorm(4), {"weight": ("norm", 1)}),
    (nn.PReLU(3), {"weight": ("norm", 1)}),
    (nn.ConvTranspose2d(4, 4, 3, groups=2), {"weight": ("conv", 2), "bias": ("bias", 1)}),
]


@pytest.mark.parametrize(("module", "kinds"), KINDS, ids=lambda value: type(value).__name__)
def test_kinds_of_torchs_layers(module: nn.Module, kinds: dict[str, tuple[str, int]]) -> None:
    found = {slot.name: (slot.kind, slot.blocks) for slot in slots(module)}
    assert {name: found[name] for name in kinds} == kinds
    assert not {"other"} & {kind for kind, _ in found.values()}
    table = winit.init(module, "pytorch_default")
    assert len(table) == len(found) and table["expected_std"].notna().all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_types_are_filled_and_hashed(dtype: torch.dtype) -> None:
    module = nn.Linear(40, 30).to(dtype)
    first = winit.init(module, "normal", std=0.5)
    assert module.weight.dtype == dtype and 0.45 < first["std"][0] < 0.55
    assert list(winit.init(module, "normal", std=0.5)["sha256"]) == list(first["sha256"])


def test_scalars_and_deep_containers() -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(3.0))
            self.blocks = nn.ModuleList(nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.BatchNorm1d(2)}) for _ in range(2))
            self.more = nn.ParameterList([torch.ones(2), torch.ones(3)])

    table = winit.init(Deep(), "lecun_normal", others="as_built").set_index("param")
    assert table.loc["scale", "shape"] == "scalar" and table.loc["scale", "mean"] == 3
    assert table.loc["blocks.1.a.weight", "scheme"] == "lecun_normal"
    assert table.loc["blocks.1.b.weight", "rule"] == "norm layer's own"
    assert table.loc["more.1", "scheme"] == "as_built"


def test_buffers_stay() -> None:
    module = nn.BatchNorm1d(3)
    module(torch.randn(8, 3))
    before = copy.deepcopy(dict(module.named_buffers()))
    winit.init(module, "kaiming_normal")
    assert all(torch.equal(value, before[name]) for name, value in module.named_buffers())
