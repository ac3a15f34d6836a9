"""Residual networks, where their parameters stand, and the schemes made for them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from small import plan_of
from torch import Tensor, nn
from torch.nn import functional as F
from zoo import RESIDUAL

import winit_cli as winit
from winit_cli.api.init import init
from winit_cli.data.vision import import_torchvision, installed
from winit_cli.errors import ConfigError, UsageError
from winit_cli.models import MODELS, Task, construct
from winit_cli.probe.trials import probe_plan
from winit_cli.rng import generator
from winit_cli.schemes.slots import slots

IMAGE, VECTOR = Task((2, 8, 6), 3), Task((7,), 3)


def _build(name: str, **options: Any) -> nn.Module:
    return construct(MODELS[name], IMAGE if name == "resnet" else VECTOR, options, seed=0)


def _inputs(name: str, batch: int = 20) -> Tensor:
    shape = (IMAGE if name == "resnet" else VECTOR).input_shape
    return torch.randn(batch, *shape, generator=generator("inputs"))


def test_resmlp_computes_its_formula() -> None:
    model, x = (
        _build("resmlp", width=6, depth=2, branch_layers=3, activation="tanh", branch_scale="learned"),
        _inputs(""),
    )
    p = dict(model.named_parameters())
    p["blocks.1.scale.factor"].data.fill_(0.7)
    h = torch.tanh(x @ p["stem.weight"].T + p["stem.bias"])
    for block, scale in ((0, 1.0), (1, 0.7)):
        z = h
        for i in range(3):
            name = f"blocks.{block}.branch.layers.{i}"
            z = (torch.tanh(z) if i else z) @ p[f"{name}.weight"].T + p[f"{name}.bias"]
        h = torch.tanh(h + scale * z)
    torch.testing.assert_close(model(x), h @ p["head.weight"].T + p["head.bias"])


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
def test_resnet_computes_its_formula(norm: str) -> None:
    model, x = _build("resnet", width=4, depth=2, norm=norm), _inputs("resnet")

    def normed(z: Tensor) -> Tensor:
        dims = {"batch": (0, 2, 3), "layer": (1, 2, 3)}.get(norm)
        if dims is None:
            return z
        return (z - z.mean(dims, keepdim=True)) / (z.var(dims, correction=0, keepdim=True) + 1e-5).sqrt()

    h = F.max_pool2d(F.relu(normed(F.conv2d(x, model.stem.weight, model.stem.bias, padding=1))), 2)
    for block in model.blocks:
        first, second = block.branch.layers
        z = F.relu(normed(F.conv2d(h, first.weight, first.bias, padding=1)))
        h = F.relu(h + normed(F.conv2d(z, second.weight, second.bias, padding=1)))
    torch.testing.assert_close(model(x), model.head(h.mean((2, 3))), rtol=1e-4, atol=1e-5)


def test_resnets_refuse_what_they_cannot_read() -> None:
    with pytest.raises(UsageError, match="needs images"):
        construct(MODELS["resnet"], VECTOR, {}, 0)
    with pytest.raises(UsageError, match="only 1 wide or high"):
        construct(MODELS["resnet"], Task((1, 1, 8), 3), {}, 0)
    for name in ("resnet", "resmlp"):
        with pytest.raises(UsageError, match="no form for crelu"):
            _build(name, activation="crelu")


def test_every_parameter_knows_its_branch() -> None:
    model = _build("resmlp", width=4, depth=3, norm="layer", branch_scale="learned")
    found = {slot.name: slot for slot in slots(model)}
    assert all(found[name].branch is None for name in ("stem.weight", "norm.weight", "head.weight", "head.bias"))
    place = found["blocks.1.branch.layers.1.weight"].branch
    assert place is not None
    assert (place.number, place.count, place.length, place.before, place.last) == (2, 3, 2, 1, True)
    assert found["blocks.1.branch.layers.1.bias"].branch == place
    first = found["blocks.2.branch.layers.0.weight"].branch
    assert first is not None and (first.number, first.before, first.last) == (3, 0, False)
    norms = [found[f"blocks.0.branch.norms.{i}.weight"].branch for i in range(2)]
    assert [norm and norm.last for norm in norms] == [False, True]
    assert {slot.name for slot in found.values() if slot.kind == "scale"} == {
        f"blocks.{i}.scale.factor" for i in range(3)
    }


def test_branches_of_torchs_transformer_layers() -> None:
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 3, enable_nested_tensor=False)
    found = {slot.name: slot.branch for slot in slots(model)}
    assert {place.count for place in found.values() if place is not None} == {6}
    last = {name for name, place in found.items() if place is not None and place.last and name.endswith("weight")}
    ends = ("self_attn.out_proj.weight", "linear2.weight")
    assert last == {f"layers.{i}.{end}" for i in range(3) for end in ends}


def test_a_norm_before_the_layers_does_not_end_a_branch() -> None:
    block = nn.ModuleDict({"branch": nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))})
    with pytest.raises(ConfigError, match="'zero_init_residual' is for the last norms of residual branches"):
        init(nn.Sequential(block, nn.Linear(4, 2)), "zero_init_residual")
    init(nn.Sequential(block, nn.Linear(4, 2)), "fixup")
    assert block["branch"][1].weight.any() and not block["branch"][3].weight.any()


@pytest.mark.skipif(not installed(), reason="torchvision is not installed")
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_zero_init_residual_is_torchvisions(name: str) -> None:
    import_torchvision()
    from torchvision.models import resnet

    with torch.device("meta"):
        model = getattr(resnet, name)(zero_init_residual=True)
    found = {slot.name: slot.branch for slot in slots(model)}
    last = "bn2" if name == "resnet18" else "bn3"
    zeroed = {
        n for n, place in found.items() if place is not None and place.last and ".bn" in n and n.endswith("weight")
    }
    assert zeroed == {n for n, _ in model.named_parameters() if n.endswith(f".{last}.weight")}
    assert all(found[n] is None for n in found if "downsample" in n)


@pytest.mark.parametrize("name", ["resnet", "resmlp"])
@pytest.mark.parametrize(
    ("scheme", "options"),
    [("fixup", {}), ("rezero", {"branch_scale": "learned"}), ("zero_init_residual", {"norm": "batch"})],
)
def test_blocks_are_the_identity_at_the_start(name: str, scheme: str, options: dict[str, Any]) -> None:
    deep, x = _build(name, width=5, depth=6, **({"norm": "none"} | options)), _inputs(name)
    flat = _build(name, width=5, depth=0, **({"norm": "none"} | options))
    init(deep, scheme)
    flat.load_state_dict({key: value for key, value in deep.state_dict().items() if "blocks" not in key})
    assert torch.equal(deep(x), flat(x))
    if scheme == "fixup":
        assert not deep(x).any()


@pytest.mark.parametrize(("depth", "layers"), [(4, 2), (9, 2), (5, 3), (3, 4)])
def test_fixup_scales_inside_of_branches(depth: int, layers: int) -> None:
    model = _build("resmlp", width=120, depth=depth, branch_layers=layers)
    table = init(model, "fixup").set_index("param")
    expected = math.sqrt(2 / 120) * depth ** (-1 / (2 * layers - 2))
    for i in range(depth):
        for j in range(layers):
            row = table.loc[f"blocks.{i}.branch.layers.{j}.weight"]
            assert row["std"] == pytest.approx(expected if j < layers - 1 else 0, rel=0.03)
            assert row["expected_std"] == pytest.approx(expected if j < layers - 1 else 0)
    assert table.loc["stem.weight"]["std"] == pytest.approx(math.sqrt(2 / 7), rel=0.1)
    assert table.loc["head.weight"]["std"] == 0
    assert set(table[table.index.str.endswith("bias")]["std"]) == {0.0}


def test_the_first_steps_of_fixup_do_not_depend_on_depth() -> None:
    """Theorem 2 of the paper: one step of SGD changes the output by about as much at any depth. A head of zeros moves
    first, so the second step is the first that moves branches."""
    changes = []
    for depth in (4, 64):
        model, x = _build("resmlp", width=64, depth=depth, branch_scale="learned"), _inputs("resmlp", 64)
        init(model, "fixup")
        y = torch.randint(3, (64,), generator=generator("targets"))
        before = model(x).detach()
        for _ in range(3):
            F.cross_entropy(model(x), y).backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter -= 0.05 * parameter.grad
                    parameter.grad = None
        changes.append(float((model(x).detach() - before).norm()))
    assert changes[1] == pytest.approx(changes[0], rel=0.5)


@pytest.mark.parametrize(("scheme", "most"), [("depth_scaled", math.e**2), ("kaiming_normal", math.inf)])
def test_depth_scaled_keeps_the_signal_at_any_depth(scheme: str, most: float) -> None:
    """A branch of gain sqrt(2) adds 2/L of what it reads: (1 + 2/L)^L stays below e^2, where 3^L does not."""
    sizes = []
    for depth in (2, 40):
        model, x = _build("resmlp", width=100, depth=depth, branch_layers=1), _inputs("resmlp", 200)
        init(model, scheme)
        h = F.relu(model.stem(x))
        start = float(h.detach().square().mean())
        for block in model.blocks:
            h = block(h)
        sizes.append(float(h.detach().square().mean()) / start)
    assert max(sizes) < most
    if scheme == "kaiming_normal":
        assert sizes[1] > 1e4


@pytest.mark.parametrize(
    ("scheme", "model", "said"),
    [
        ("fixup", "mlp", "layers in residual branches"),
        ("depth_scaled", "cnn", "layers in residual branches"),
        ("rezero", "{name: resnet, width: 3}", "branch_scale: learned"),
        ("zero_init_residual", "{name: resmlp, norm: none}", "norm: batch or layer"),
    ],
)
def test_a_scheme_says_what_architecture_it_needs(scheme: str, model: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        _ = plan_of(
            f"schemes=[{scheme}]", f"model={model}", "data={name: digits, train_size: 60, test_size: 30}"
        ).settings
    assert "the model has none" in str(error.value) and said in str(error.value)


@pytest.mark.parametrize("scheme", RESIDUAL)
def test_the_audit_agrees_with_the_formula(scheme: str) -> None:
    model = _build("resmlp", width=100, depth=3, norm="layer", branch_scale="learned")
    table = init(model, scheme)
    known = table["expected_std"].notna()
    assert set(table[~known]["param"]) <= {f"blocks.{i}.scale.factor" for i in range(3)}
    for row in table[known].to_dict("records"):
        assert row["std"] == pytest.approx(row["expected_std"], rel=0.2, abs=1e-7), row["param"]


def test_multipliers_start_at_one_whatever_the_scheme() -> None:
    for scheme in ("kaiming_normal", "zeros", "fixup", "pytorch_default", "as_built"):
        model = _build("resmlp", width=4, depth=2, branch_scale="learned")
        table = init(model, scheme).set_index("param")
        assert table.loc["blocks.0.scale.factor"]["mean"] == 1, scheme


class Modulated(nn.Module):
    """A block of a user's whose ``scale`` is a layer."""

    def __init__(self, own: bool = False) -> None:
        super().__init__()
        self.branch, self.scale = nn.Linear(4, 4), nn.Linear(4, 4)
        if own:
            self.scale = nn.Module()
            self.scale.gain = nn.Parameter(torch.full((4,), 0.3))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale(x) * self.branch(x)


def test_a_layer_that_is_called_scale_stays_a_layer() -> None:
    table = init(nn.Sequential(Modulated(), nn.Linear(4, 2)), "kaiming_normal").set_index("param")
    assert table.loc["0.scale.weight"]["scheme"] == "kaiming_normal"
    assert table.loc["0.scale.bias"]["scheme"] == "zeros"


def test_an_own_multiplier_without_a_reset_stays_as_built() -> None:
    table = init(nn.Sequential(Modulated(own=True), nn.Linear(4, 2)), "kaiming_normal").set_index("param")
    assert table.loc["0.scale.gain"]["scheme"] == "as_built"
    assert table.loc["0.scale.gain"]["mean"] == pytest.approx(0.3)


def test_branches_of_zeros_in_torchs_transformer_are_not_symmetric() -> None:
    module = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Flatten(), nn.Linear(40, 3))
    init(module, "fixup")
    x = torch.randn(40, 5, 8, generator=generator("tokens"))
    found = winit.probe(module, x, torch.randint(3, (40,), generator=generator("classes")))
    assert found.verdict == "healthy" and "the head is zero" in found.advice


def test_the_cure_for_a_growing_residual_net_is_not_the_gain_that_it_has() -> None:
    plan = plan_of(
        "schemes=[kaiming_normal]", "model={name: resmlp, width: 20, depth: 30}", "seeds=2", "train.batch_size=40"
    )
    found = probe_plan(plan).verdicts["kaiming_normal"]
    assert found.verdict == "exploding"
    assert "e.g. fixup, depth_scaled or rezero" in found.advice and "kaiming_normal" not in found.advice


def test_multipliers_can_have_a_rule() -> None:
    model = _build("resmlp", width=4, depth=2, branch_scale="learned")
    entry = {"rules": [{"params": "*.scale.factor", "scheme": "constant", "val": 0.5}], "others": "kaiming_normal"}
    table = init(model, entry).set_index("param")
    assert table.loc["blocks.1.scale.factor"]["mean"] == 0.5
