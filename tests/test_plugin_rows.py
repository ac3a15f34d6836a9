"""Rows of plug-ins with wrong values in them: one message, exit code 2, nothing written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from commands import refused, winit, winit_json

import winit_cli as winit_module

HEAD = """
import torch, winit_cli as winit

def f(tensor, generator, *, std: float = 1.0):
    tensor.normal_(0, std, generator=generator)

def c(slot, *, std: float = 1.0):
    return winit.Use("normal", {"std": std})

"""
SMALL = ("--steps", "2", "--seeds", "1", "--quiet", "-s", "train.batch_size=4")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


SCHEMES = {
    "dims": ("'mine', f, dims=2", "dims"),
    "dims as a list": ("'mine', f, dims=[2]", "dims"),
    "moments as a number": ("'mine', f, moments=lambda shape, std: std", "winit.Moments"),
    "moments of text": ("'mine', f, moments=lambda shape, std: winit.Moments(std='1')", "moments"),
    "moments that are no number": ("'mine', f, moments=lambda shape, std: winit.Moments(std=float('nan'))", "moments"),
    "moments without options": ("'mine', f, moments=lambda shape: winit.Moments(std=1.0)", "moments"),
    "a check that is none": ("'mine', f, check=3", "check"),
    "a check that fails": ("'mine', f, check=lambda options: options['val']", "check"),
    "aliases as text": ("'mine', f, aliases='my'", "aliases"),
    "a builtin": ("'mine', torch.Tensor.normal_", "scheme mine"),
    "biases of its own": ("'mine', f, own_biases=True", "own_biases"),
    "a fit beside fill": ("'mine', f, fit=lambda net, std: None", "fit is for schemes that have choose=…"),
    "a rate beside fill": (
        "'mine', f, rate=lambda slot, optimizer, std: 2.0",
        "rate is for schemes that have choose=…",
    ),
    "a fit that is none": ("'mine', choose=c, fit=3", "fit cannot be 3"),
    "a rate that is none": ("'mine', choose=c, rate=0.5", "rate cannot be 0.5"),
    "a code that is none": ("'mine', f, code='nn.init.ones_(w)'", "code cannot be 'nn.init.ones_(w)'"),
    "a fit without options": ("'mine', choose=c, fit=lambda net: None", "is called as fit(fitting, std=…): "),
    "a rate of a slot": (
        "'mine', choose=c, rate=lambda slot, *, std: 1.0",
        "plug.py:10: rate of scheme mine is called as rate(slot, optimizer, std=…): too many positional arguments",
    ),
    "a code with more options": (
        "'mine', f, code=lambda *, std, mean: ''",
        "code of scheme mine is called as code(std=…): missing a required",
    ),
    "also as text": ("'mine', choose=c, also='norm'", "also cannot be 'norm'"),
    "also a kind that is unknown": ("'mine', choose=c, also=('norms',)", "also cannot be ('norms',)"),
}


@pytest.mark.parametrize("name", list(SCHEMES))
def test_a_wrong_value_in_the_row_of_a_scheme(name: str) -> None:
    row, message = SCHEMES[name]
    Path("plug.py").write_text(f"{HEAD}SCHEMES = [winit.Scheme({row})]\n")
    said = refused("list", "schemes", "--plugin", "plug.py")
    assert message in said and "\n" not in said and len(said) < 400


OTHERS = {
    "no list": ("SCHEMES = winit.Scheme('mine', f)", "SCHEMES must be a list of winit.Scheme, got"),
    "a builtin data set": ("DATASETS = [winit.DatasetRow('mine', dict)]", "data set mine"),
    "a class of data": ("DATASETS = [winit.DatasetRow]", "DATASETS holds"),
    "twice": ("LOSSES = [winit.Loss('mine', f), winit.Loss('mine', f)]", "there is a loss named 'mine' already"),
    "a loss of winit's": ("LOSSES = [winit.Loss('mse', f)]", "there is a loss named 'mse' already"),
    "a tensor as default": (
        "def g(tensor, generator, *, t=torch.ones(2)):\n    tensor.fill_(1)\nSCHEMES = [winit.Scheme('mine', g)]",
        "scheme mine",
    ),
}


@pytest.mark.parametrize("name", list(OTHERS))
def test_a_wrong_row(name: str) -> None:
    text, message = OTHERS[name]
    Path("plug.py").write_text(f"{HEAD}{text}\n")
    said = refused("list", "schemes", "--plugin", "plug.py")
    assert message in said and "\n" not in said and len(said) < 400


def data(part: str, task: str = "classification", outputs: str = "2", more: str = "", test: str = "p") -> str:
    return (
        f"{HEAD}def d():\n    torch.manual_seed(0)\n    p = winit.Part({part})\n"
        f"    return winit.Dataset('d', '{task}', p, None, {test}, {outputs}{more})\n"
        "DATASETS = [winit.DatasetRow('mine', d)]\n"
    )


DATA = {
    "task": data("torch.randn(8, 3), torch.randn(8, 1)", "guessing", "1"),
    "one column of classes": data("torch.randn(8, 3), torch.arange(8)[:, None] % 2"),
    "more targets than steps": data("torch.randn(8, 3, 2), torch.zeros(8, 5).long()", more=", target_steps=5"),
    "steps not said": data("torch.randn(8, 3, 2), torch.arange(24).reshape(8, 3) % 2"),
    "outputs": data("torch.randn(8, 3), torch.arange(8) % 2", outputs="2.0"),
    "outputs as text": data("torch.randn(8, 3), torch.randn(8, 1)", "regression", "'1'"),
    "no features": data("torch.randn(8), torch.randn(8, 1)", "regression", "1"),
    "no test part": data("torch.randn(8, 3), torch.randn(8, 1)", "regression", "1", test="None"),
    "vocabulary": data("torch.arange(24).reshape(8, 3), torch.arange(8) % 2", more=", vocabulary=2"),
}


@pytest.mark.parametrize("name", list(DATA))
def test_a_data_set_that_training_cannot_use(name: str) -> None:
    Path("plug.py").write_text(DATA[name])
    Path("net.py").write_text("from torch import nn\ndef Net():\n    return nn.Sequential(nn.LazyLinear(2))\n")
    options = ("--data", "mine", "--plugin", "plug.py", "--model", "net.py:Net", *SMALL, "--schemes", "zeros")
    assert "mine" in refused("compare", *options)


def test_how_many_tokens_there_are_is_part_of_a_data_set() -> None:
    part = winit_module.Part(torch.arange(8).reshape(4, 2) % 3, torch.arange(4) % 2)
    made = [winit_module.Dataset("d", "classification", part, None, part, 2, vocabulary=size) for size in (3, 9)]
    assert made[0].fingerprint != made[1].fingerprint


def test_a_loss_may_be_given_as_a_class() -> None:
    Path("plug.py").write_text(f"{HEAD}LOSSES = [winit.Loss('huber', torch.nn.HuberLoss)]\n")
    options = ("--loss", "huber", "--plugin", "plug.py", "--data", "adding", "-s", "data.length=4", "--model", "lstm")
    assert winit_json("compare", *options, *SMALL, "--schemes", "zeros")["state"] == "complete"


def test_one_file_may_be_named_in_every_way_at_once() -> None:
    Path("plug.py").write_text(
        f"{HEAD}def Net(in_features, num_classes):\n    return torch.nn.Linear(in_features, num_classes)\n"
        "def loss(out, y):\n    return torch.nn.functional.cross_entropy(out, y)\n"
        "SCHEMES = [winit.Scheme('mine', f)]\n"
    )
    code = ("--model", "plug.py:Net", "--loss", "./plug.py:loss", "--plugin", "plug.py", "--plugin", "./plug.py")
    found = winit_json("compare", "--data", "gaussian", *code, *SMALL, "--schemes", "mine")
    assert found["state"] == "complete"


def test_a_package_that_prints_as_it_is_loaded_does_not_spoil_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    info = site / "shouting-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "shouting.py").write_text(f"{HEAD}print('HELLO')\ntorch.rand(3)\nrow = winit.Scheme('loud', f)\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[winit.schemes]\nloud = shouting:row\n")
    monkeypatch.syspath_prepend(str(site))
    state = torch.get_rng_state()
    try:
        assert "loud" in {row["name"] for row in winit_json("list", "schemes")}
        assert torch.equal(state, torch.get_rng_state())
        (info / "entry_points.txt").write_text("[winit.schemes]\nloud = shouting:rows\n")
        said = refused("list", "schemes")
        assert "plug-in loud of the package shouting" in said and "AttributeError" in said
        assert winit("list", "runs").exit_code == 0
    finally:
        sys.modules.pop("shouting", None)
