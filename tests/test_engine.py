"""The engine against plain PyTorch, and the meaning of every number it gives."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import plain
import pytest
import torch
from small import DETERMINISTIC, column, plan_of, rows, run_of

from winit_cli.data.dataset import constant_loss
from winit_cli.engine.batches import batches
from winit_cli.engine.evaluate import Scoring, accuracy_of, evaluate
from winit_cli.losses import cross_entropy

MLP = ("model.activation=tanh",)
CNN = (
    "model={name: cnn, channels: [3, 4]}",
    "data={name: digits, train_size: 60, test_size: 30}",
    "schemes=[pytorch_default]",
)
LSTM = ("model={name: lstm, hidden: 6}", "data={name: recall, lag: 4, symbols: 3, train_size: 40, test_size: 20}")
GRU = ("model={name: gru, hidden: 6}", "data={name: copying, lag: 3, symbols: 3, train_size: 40, test_size: 20}")
RNN = ("model={name: rnn, hidden: 6}", "data={name: adding, length: 6, train_size: 40, test_size: 20}")
CASES = {
    "mlp sgd": (*MLP, "train.momentum=0.9", "train.weight_decay=0.01"),
    "mlp nesterov": (*MLP, "train.momentum=0.9", "train.nesterov=true", "train.weight_decay=0.01"),
    "mlp adam": (*MLP, "train.optimizer=adam", "train.lr=0.01", "train.betas=[0.8, 0.99]"),
    "mlp adamw": (*MLP, "train.optimizer=adamw", "train.lr=0.01"),
    "mlp rmsprop": (*MLP, "train.optimizer=rmsprop", "train.lr=0.01", "train.momentum=0.5"),
    "mlp adam decay": (*MLP, "train.optimizer=adam", "train.lr=0.01", "train.weight_decay=0.1"),
    "mlp cosine": (*MLP, "train.schedule=cosine"),
    "mlp linear": (*MLP, "train.schedule=linear"),
    "mlp cosine warmup": (*MLP, "train.schedule=cosine", "train.warmup=3"),
    "mlp linear warmup": (*MLP, "train.schedule=linear", "train.warmup=4"),
    "mlp constant warmup": (*MLP, "train.warmup=2"),
    "mlp clip": (*MLP, "train.clip_norm=0.05"),
    "mlp batch norm": ("model.norm=batch", "train.momentum=0.9"),
    "mlp val": ("data.val_size=15",),
    "mlp epochs": ("train={epochs: 2, batch_size: 15}",),
    "mlp no hidden layer": ("model.depth=0",),
    "mlp regression": ("data={name: adding, length: 6, train_size: 40, test_size: 20}",),
    "cnn sgd": (*CNN, "train.momentum=0.9"),
    "cnn adam clip": (*CNN, "train.optimizer=adam", "train.clip_norm=0.1"),
    "lstm sgd": (*LSTM, "train.clip_norm=1.0"),
    "lstm rmsprop": (*LSTM, "train.optimizer=rmsprop", "train.lr=0.01", "schemes=[orthogonal]"),
    "gru adamw": (*GRU, "train.optimizer=adamw", "train.lr=0.02", "train.schedule=cosine"),
    "rnn sgd": (*RNN, "schemes=[{scheme: xavier_uniform, bias: default}]"),
}


@pytest.mark.filterwarnings("ignore:The epoch parameter")
@pytest.mark.parametrize("settings", CASES.values(), ids=CASES.keys())
def test_curves_are_those_of_plain_pytorch(settings: tuple[str, ...], tmp_path: Path) -> None:
    result = run_of(tmp_path, *settings, "engine=serial")
    for trial in plan_of(*settings).trials:
        wanted = plain.train(trial)
        points = {(row["split"], int(row["step"])): row for row in rows(result, "curves", trial=trial.key)}
        assert points.keys() == wanted.points.keys()
        for key, (loss, accuracy) in wanted.points.items():
            assert float(points[key]["loss"]) == pytest.approx(loss, rel=2e-6)
            assert points[key]["accuracy"] == ("" if accuracy is None else repr(accuracy))
        for step, norms in wanted.norms.items():
            got = {r["param"]: float(r["grad_norm"]) for r in rows(result, "gradients", trial=trial.key, step=step)}
            assert list(got) == list(norms)
            assert got == pytest.approx(norms, rel=2e-5, abs=1e-7)
        (finals,) = rows(result, "trials", trial=trial.key)
        for name, value in wanted.finals.items():
            assert finals[name] == "" if value is None else float(finals[name]) == pytest.approx(value, rel=2e-6)


@pytest.mark.parametrize("engine", ["serial", "stacked"])
def test_what_is_measured_when(engine: str, tmp_path: Path) -> None:
    result = run_of(
        tmp_path, f"engine={engine}", "train.steps=7", "measure={every: 3, test_every: 5}", "seeds=1", "data.val_size=9"
    )
    assert column(result, "curves", "step", split="train") == [0, 3, 6, 7]
    assert column(result, "curves", "step", split="test") == [0, 5, 7]
    assert column(result, "curves", "step", split="val") == [0, 5, 7]
    assert sorted(set(column(result, "gradients", "step"))) == [0, 3, 6, 7]


@pytest.mark.parametrize("engine", ["serial", "stacked"])
def test_default_intervals_give_a_hundred_points_and_ten_tests(engine: str, tmp_path: Path) -> None:
    result = run_of(tmp_path, f"engine={engine}", "train.steps=200", "measure={}", "seeds=1")
    assert column(result, "curves", "step", split="train") == list(range(0, 201, 2))
    assert column(result, "curves", "step", split="test") == list(range(0, 201, 20))


@pytest.mark.parametrize("engine", ["serial", "stacked"])
def test_the_last_test_point_is_the_final_one(engine: str, tmp_path: Path) -> None:
    """The batch that is only measured at the end must not move batch-norm statistics before the finals."""
    result = run_of(tmp_path, f"engine={engine}", "model.norm=batch", "data.val_size=9")
    for trial in rows(result, "trials"):
        for split in ("test", "val"):
            (last,) = rows(result, "curves", trial=trial["trial"], split=split, step=6)
            assert trial[f"final_{split}_loss"] == last["loss"]
        (last,) = rows(result, "curves", trial=trial["trial"], split="test", step=6)
        assert trial["final_test_accuracy"] == last["accuracy"]


def test_final_train_loss_is_over_the_first_5000_examples(tmp_path: Path) -> None:
    settings = ("data.train_size=5300", "data.features=2", "model.width=3", "seeds=1", "train.steps=2")
    result = run_of(tmp_path, *settings, "engine=serial")
    wanted = plain.train(plan_of(*settings).trials[0]).finals["final_train_loss"]
    assert column(result, "trials", "final_train_loss") == pytest.approx([wanted], rel=1e-6)


def test_batches_are_epochs_without_replacement_and_a_short_last_one_is_dropped() -> None:
    taken = batches(5, 23, 5)
    epochs = [torch.cat([next(taken) for _ in range(4)]) for _ in range(3)]
    for epoch in epochs:
        assert len(epoch.unique()) == 20 and epoch.max() < 23
    assert not torch.equal(epochs[0], epochs[1])
    assert {int(i) for epoch in epochs for i in epoch} == set(range(23))
    again = batches(5, 23, 5)
    assert torch.equal(epochs[0], torch.cat([next(again) for _ in range(4)]))
    assert not torch.equal(next(batches(6, 23, 5)), epochs[0][:5])


def test_accuracy_is_the_exact_fraction() -> None:
    out, y = torch.eye(10), torch.arange(10)
    y[3:] = 0
    assert accuracy_of(out, y).item() == 0.3
    assert accuracy_of(out.reshape(5, 2, 10), y.reshape(5, 2)).item() == 0.3


def test_evaluation_in_parts_equals_evaluation_at_once() -> None:
    data = plan_of("data.test_size=2345").settings[0].dataset
    model = torch.nn.Linear(5, 3)
    loss, accuracy = evaluate(model, data.test, Scoring(cross_entropy, accuracy_of))
    out = model(data.test.x)
    assert loss.item() == pytest.approx(torch.nn.functional.cross_entropy(out, data.test.y).item(), rel=1e-6)
    assert accuracy.item() == pytest.approx(int((out.argmax(1) == data.test.y).sum()) / 2345, rel=1e-15)
    assert model.training


CLASSIFIERS = {
    **{f"mlp {a}": (f"model.activation={a}",) for a in ("relu", "sigmoid", "softplus", "selu")},
    "mlp batch norm": ("model.norm=batch",),
    "mlp layer norm": ("model.norm=layer",),
    "cnn": CNN[:2],
    "cnn batch norm": (*CNN[:2], "model.norm=batch"),
    "lstm": LSTM,
    "gru": GRU,
    "rnn": (RNN[0], LSTM[1]),
}


@pytest.mark.parametrize("engine", ["serial", "stacked"])
@pytest.mark.parametrize("settings", CLASSIFIERS.values(), ids=CLASSIFIERS.keys())
def test_zeros_start_at_ln_classes_with_no_hidden_gradient(
    settings: tuple[str, ...], engine: str, tmp_path: Path
) -> None:
    result = run_of(tmp_path, f"engine={engine}", *settings, "schemes=[zeros]", "seeds=1")
    classes = plan_of(*settings).settings[0].task.outputs
    for loss in column(result, "curves", "loss", step=0):
        assert loss == pytest.approx(math.log(classes), rel=1e-6)
    norms = {row["param"]: float(row["grad_norm"]) for row in rows(result, "gradients", step=0)}
    assert norms.pop("head.bias") > 0
    norms.pop("head.weight")
    assert set(norms.values()) == {0.0}


@pytest.mark.parametrize("engine", ["serial", "stacked"])
def test_outcomes_follow_the_rule(engine: str, tmp_path: Path) -> None:
    settings = ("schemes=[zeros, kaiming_normal, ones]", "train.steps=40", "train.lr=[0.001, 0.1]")
    result = run_of(tmp_path, f"engine={engine}", *settings)
    data = plan_of(*settings).settings[0].dataset
    shares = torch.bincount(data.train.y).double() / len(data.train.y)
    best = -(shares * shares.log()).sum().item()
    assert constant_loss(data) == pytest.approx(best)
    outcomes = set()
    for trial in rows(result, "trials", status="ok"):
        learned = float(trial["final_train_loss"]) < 0.99 * best
        assert trial["outcome"] == ("learned" if learned else "stuck")
        outcomes.add((trial["label"], trial["outcome"]))
    assert ("zeros", "stuck") in outcomes and ("kaiming_normal", "learned") in outcomes


@pytest.mark.parametrize("engine", ["serial", "stacked"])
def test_regression_has_no_accuracy(engine: str, tmp_path: Path) -> None:
    result = run_of(tmp_path, f"engine={engine}", *RNN)
    assert {row["accuracy"] for row in rows(result, "curves")} == {""}
    assert {row["final_test_accuracy"] for row in rows(result, "trials")} == {""}


@pytest.mark.parametrize("engine", ["serial", "stacked"])
def test_csv_numbers_are_doubles_written_out(engine: str, tmp_path: Path) -> None:
    result = run_of(tmp_path, f"engine={engine}")
    for table in DETERMINISTIC:
        with (result.directory / f"{table}.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                for name in ("loss", "grad_norm", "mean", "std", "final_test_loss", "lr"):
                    assert not row.get(name) or repr(float(row[name])) == row[name]
