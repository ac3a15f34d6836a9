"""Losses of a user's own: any of torch's idioms trains, and trials are told to be stuck only where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import refused, winit_json
from pandas import DataFrame, read_csv

SETTINGS = ("--data", "d.npz", "--seeds", "2", "--steps", "40", "--lr", "0.3", "-s", "train.batch_size=16", "--quiet")
HEAD = "import torch\nfrom torch import nn\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def trained(body: str, loss: str, *more: str, kind: str = "float", schemes: str = "kaiming") -> DataFrame:
    """The trials of a net and a loss on a separable problem of two classes, 0 and 1."""
    x = np.random.default_rng(0).normal(size=(120, 5))
    y = (x[:, 0] > 0).astype(kind)
    np.savez("d.npz", x_train=x[:80], y_train=y[:80], x_test=x[80:], y_test=y[80:])
    Path("net.py").write_text(f"{HEAD}def Net(in_features, num_classes):\n    return {body}\n{loss}\n")
    options = ("--model", "net.py:Net", "--loss", "net.py:loss", "--schemes", schemes)
    run = winit_json("compare", *SETTINGS, *options, *more)["run"]
    return read_csv(Path(run) / "trials.csv")


LINEAR = "nn.Linear(in_features, num_classes)"
SIGMOID = f"nn.Sequential({LINEAR}, nn.Sigmoid())"
SHARES = "nn.Sequential(nn.Linear(in_features, 2), nn.LogSoftmax(dim=1))"
LEARNING = {
    "huber": (LINEAR, "loss = nn.HuberLoss", "float"),
    "an instance": (LINEAR, "loss = nn.HuberLoss(delta=0.5)", "float"),
    "absolute": (LINEAR, "loss = nn.L1Loss", "float"),
    "logits": (LINEAR, "loss = nn.BCEWithLogitsLoss", "float"),
    "double": (LINEAR, "def loss(out, y): return (out - y).double().square().mean()", "float"),
    "negative": (LINEAR, "def loss(out, y): return (out - y).square().mean() - 10", "float"),
    # of outputs that a constant search from zeros leaves the domain of, or that are not free to be any constant
    "probabilities": (SIGMOID, "loss = nn.BCELoss", "float"),
    "logarithm": (SIGMOID, "def loss(out, y): return -(y * out.log() + (1 - y) * (1 - out).log()).mean()", "float"),
    "log-probabilities": (SHARES, "loss = nn.NLLLoss", "int"),
    "correlation": (
        LINEAR,
        "def loss(out, y):\n    a, b = out - out.mean(), y - y.mean()\n"
        "    return -(a * b).sum() / (a.norm() * b.norm())",
        "float",
    ),
    "in place": (LINEAR, "def loss(out, y): return out.sub_(y).square().mean()", "float"),
}


@pytest.mark.parametrize("name", list(LEARNING))
def test_a_loss_that_goes_down_is_learned(name: str) -> None:
    body, loss, kind = LEARNING[name]
    trials = trained(body, loss, kind=kind)
    assert list(trials["status"]) == ["ok", "ok"] and list(trials["outcome"]) == ["learned"] * 2, trials


def test_a_net_that_does_not_learn_is_stuck() -> None:
    dead = "nn.Sequential(nn.Linear(in_features, 4), nn.ReLU(), nn.Linear(4, num_classes))"
    for loss in ("loss = nn.HuberLoss", "def loss(out, y): return (out - y).square().mean() - 10"):
        assert list(trained(dead, loss, schemes="zeros")["outcome"]) == ["stuck"] * 2


def test_a_class_that_needs_arguments_has_its_line() -> None:
    Path("l.py").write_text(f"{HEAD}class Loss:\n    def __init__(self, weight):\n        pass\n")
    np.savez("d.npz", x_train=np.eye(4), y_train=np.ones(4), x_test=np.eye(4), y_test=np.ones(4))
    said = refused("compare", *SETTINGS, "--model", "mlp", "--schemes", "zeros", "--loss", "l.py:Loss")
    assert said.startswith("l.py:4: l.py:Loss raised TypeError: ") and "missing 1 required" in said


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("def loss(out, y): pass", "returned a NoneType, expected a scalar"),
        ("def loss(out, y): return out.mean(), 1", "returned a tuple, expected a scalar"),
        ("def loss(out, y): return out.mean().reshape(1)", "returned a tensor of shape (1,), expected a scalar"),
        (
            "def loss(out): return out.mean()",
            "loss net.py:loss, called with outputs (16, 1) and targets (16, 1), raised",
        ),
    ],
)
def test_what_is_no_loss_is_refused_before_anything_is_written(loss: str, message: str) -> None:
    with pytest.raises(AssertionError):  # of winit_json, the command having ended with exit code 2
        trained(LINEAR, loss)
    said = refused("compare", *SETTINGS, "--model", "net.py:Net", "--loss", "net.py:loss", "--schemes", "kaiming")
    assert message.replace("called with", "") in said.replace("called with", "").replace("given", "")


def test_a_loss_in_a_yaml_is_code_and_refused() -> None:
    trained(LINEAR, "loss = nn.HuberLoss")
    (config,) = Path("results").glob("*/config.yaml")
    assert "train.loss: net.py:loss is code, which a YAML alone never loads" in refused(
        "run", config, "--model", "net.py:Net"
    )
    config.write_text(config.read_text().replace("net.py:Net", "mlp"))
    said = refused("run", config, "--model", "mlp")
    assert "train.loss: net.py:loss is code" in said and "--loss net.py:loss" in said


def test_another_loss_never_serves_old_results() -> None:
    first = trained(LINEAR, "loss = nn.HuberLoss")
    second = trained(LINEAR, "def loss(out, y): return (out - y).square().mean()")
    assert second["copied_from"].isna().all()
    assert not first["final_test_loss"].equals(second["final_test_loss"])
