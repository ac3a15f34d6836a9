"""Fans of packed weights with and without torch's own computation, and rules by the place of a layer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import init as torchs

from winit_cli.api.init import init
from winit_cli.errors import ConfigError, UsageError
from winit_cli.plugins import plugged
from winit_cli.rng import generator

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"\| `(\w+\(.*?\))`.* \| ([\d×]+) \| (\d+), (\d+) \| (the same|\d+, \d+) \|")
FANS = ROW.findall(README)


def _weight(module: nn.Module, shape: tuple[int, ...]) -> str:
    return next(name for name, value in module.named_parameters() if tuple(value.shape) == shape)


@pytest.mark.parametrize("row", FANS, ids=[row[0] for row in FANS])
def test_the_table_of_fans_in_the_readme(row: tuple[str, ...]) -> None:
    code, size, fan_in, fan_out, torch_fans = row
    shape = tuple(map(int, size.split("×")))
    module = eval(f"nn.{code}", {"nn": nn})
    name = _weight(module, shape)
    wanted = [int(fan_in), int(fan_out)]
    found = init(module, "xavier_normal").set_index("param").loc[name]
    assert found[["fan_in", "fan_out"]].tolist() == wanted
    assert found["std"] == pytest.approx((2 / sum(wanted)) ** 0.5, rel=0.15) == found["expected_std"]
    packed = init(module, "xavier_normal", fan="torch").set_index("param").loc[name]
    of_torch = list(torchs._calculate_fan_in_and_fan_out(module.get_parameter(name)))
    assert packed[["fan_in", "fan_out"]].tolist() == of_torch
    assert of_torch == (wanted if torch_fans == "the same" else [int(fan) for fan in torch_fans.split(", ")])


def test_the_readme_has_all_kinds_of_layers() -> None:
    assert len(FANS) == 9


@pytest.mark.parametrize("name", ["kaiming_uniform", "xavier_normal", "orthogonal"])
@pytest.mark.parametrize(
    "make",
    [lambda: nn.LSTM(5, 6), lambda: nn.Conv2d(4, 8, 3, groups=2), lambda: nn.ConvTranspose1d(4, 6, 3, groups=2)],
    ids=["lstm", "groups", "transposed"],
)
def test_torchs_fans_are_one_call_of_torch_on_the_whole(name: str, make: Any) -> None:
    module = make()
    table = init(module, name, seed=4, fan="torch").set_index("param")
    for parameter, values in module.named_parameters():
        if "weight" in parameter:
            wanted = getattr(torchs, f"{name}_")(torch.empty(values.shape), generator=generator(4, "init", parameter))
            assert torch.equal(values, wanted)
            assert table.loc[parameter, "std"] == pytest.approx(table.loc[parameter, "expected_std"], rel=0.15)


def test_fan_is_for_schemes_that_see_a_layout() -> None:
    with pytest.raises(ConfigError, match="zeros has no option 'fan'"):
        init(nn.Linear(3, 3), "zeros", fan="torch")
    with pytest.raises(ConfigError, match="expected module or torch, got keras"):
        init(nn.Linear(3, 3), "xavier_normal", fan="keras")
    plain, said = nn.LSTM(3, 4), nn.LSTM(3, 4)
    init(plain, "xavier_normal")
    init(said, "xavier_normal", fan="module")
    assert torch.equal(plain.weight_ih_l0, said.weight_ih_l0)


@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_convolutions_are_seen_from_their_outputs(groups: int) -> None:
    """dirac passes channels on group by group, orthogonal blocks are (outputs, inputs · kernel)."""
    module = nn.ConvTranspose1d(4, 8, 3, padding=1, groups=groups, bias=False)
    init(module, "dirac")
    x = torch.randn(2, 4, 7, generator=generator("x"))
    with torch.no_grad():
        out = module(x).unflatten(1, (groups, 8 // groups))[:, :, : 4 // groups]
    assert torch.equal(out, x.unflatten(1, (groups, 4 // groups)))
    init(module, "orthogonal")
    for block in module.weight.detach().chunk(groups):
        matrix = block.transpose(0, 1).flatten(1)
        gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
        torch.testing.assert_close(gram, torch.eye(len(gram)), atol=2e-6, rtol=0)


class Net(nn.Module):
    """An embedding, two hidden layers with a norm, a head, and an output beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.one, self.norm = nn.Embedding(9, 4), nn.Linear(4, 4), nn.LayerNorm(4)
        self.two, self.head, self.aside = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(4, 1)


@pytest.mark.parametrize(
    ("layers", "filled"),
    [
        ("first", ["words"]),
        ("head", ["head"]),
        ("last", ["aside"]),
        ("norm", ["norm"]),
        (2, ["one"]),
        ("2-3", ["one", "two"]),
        ("4-99", ["head", "aside"]),
    ],
)
def test_rules_by_place_and_depth(layers: object, filled: list[str]) -> None:
    module = Net()
    rule = {"layers": layers, "scheme": "constant", "val": 3.0}
    table = init(module, {"rules": [rule], "others": "zeros"}).set_index("param")
    assert list(table.index[table["rule"] == "rules.0"]) == [f"{name}.weight" for name in filled]
    assert all(torch.all(module.get_submodule(name).weight == 3) for name in filled)


def test_the_head_is_the_last_linear_or_convolutional_layer_unless_one_is_called_so() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2), nn.Embedding(4, 2))
    table = init(module, {"rules": [{"layers": "head", "scheme": "ones"}], "others": "zeros"}).set_index("param")
    assert list(table.index[table["scheme"] == "ones"]) == ["1.weight"]


def test_a_tied_head_is_in_both_places() -> None:
    module = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 3), nn.Linear(3, 5))
    module[2].weight = module[0].weight
    for layers in ("first", "last"):
        table = init(module, {"rules": [{"layers": layers, "scheme": "ones"}], "others": "zeros"}).set_index("param")
        assert table.loc["0.weight", "rule"] == "rules.0"


@pytest.mark.parametrize("layers", ["lats", "0", "2-", "a-b", True, [1]])
def test_other_places_are_refused(layers: object) -> None:
    with pytest.raises(ConfigError, match=r"unknown kind of layer.*known: linear, conv.*by depth"):
        init(Net(), {"rules": [{"layers": layers, "scheme": "ones"}], "others": "zeros"})


def test_a_depth_without_a_layer_wins_none() -> None:
    with pytest.raises(ConfigError, match=r"rules.0 \(7\) wins no parameter"):
        init(Net(), {"rules": [{"layers": 7, "scheme": "ones"}], "others": "zeros"})


CHOOSING = """
import winit_cli as winit

def choose(slot, *, std: float = 0.5):
    if slot.kind == "bias":
        return winit.Use("zeros")
    return winit.Use({other!r}) if "head" in slot.places else winit.Use("normal", {{"std": std}})

SCHEMES = [winit.Scheme("mine", choose=choose)]
"""


def test_a_plug_ins_scheme_may_choose_among_others(tmp_path: Path) -> None:
    (tmp_path / "plug.py").write_text(CHOOSING.format(other="he_normal"))
    module = nn.Sequential(nn.Linear(200, 200), nn.Linear(200, 5))
    with plugged([str(tmp_path / "plug.py")]):
        table = init(module, "mine", std=0.25).set_index("param")
    assert table["scheme"].tolist() == ["normal", "zeros", "kaiming_normal", "zeros"]
    assert table.loc["0.weight", "std"] == pytest.approx(0.25, rel=0.02)
    assert table.loc["1.weight", "expected_std"] == pytest.approx(0.1)


def test_an_unknown_choice_is_said(tmp_path: Path) -> None:
    (tmp_path / "plug.py").write_text(CHOOSING.format(other="normall"))
    with plugged([str(tmp_path / "plug.py")]), pytest.raises(UsageError, match="'normall'; did you mean 'normal'"):
        init(nn.Linear(2, 2), "mine")
    (tmp_path / "none.py").write_text('import winit_cli as w\nSCHEMES = [w.Scheme("none")]\n')
    with (
        pytest.raises(UsageError, match="scheme none: give it fill=…, or choose=…"),
        plugged([str(tmp_path / "none.py")]),
    ):
        pass


@pytest.mark.parametrize(("gain", "activation", "wanted"), [("integrated", "selu", 1.0), ("auto", "selu", 0.75)])
def test_both_conventions_for_selu(gain: str, activation: str, wanted: float) -> None:
    table = init(nn.Linear(4, 4), "orthogonal", gain=gain, activation=activation).set_index("param")
    assert table.loc["weight", "gain"] == pytest.approx(wanted, rel=1e-6)


def test_an_integrated_gain_needs_an_activation() -> None:
    with pytest.raises(ConfigError, match="gain: integrated means the model's activation, which this model does not"):
        init(nn.Linear(4, 4), "orthogonal", gain="integrated")
