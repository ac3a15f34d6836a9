"""The engine against plain PyTorch, and the meaning of every number it gives."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import plain
import pytest
import torch
from small import DETERMINISTIC, Heard, column, plan_of, rows, run_of

from winit_cli.data.dataset import constant_loss
from winit_cli.engine.batches import batches
from winit_cli.engine.evaluate import accuracy_of, evaluate
from winit_cli.engine.tape import Tape
from winit_cli.runner import Result

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
    result = run_of(tmp_path, *settings)
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


def test_what_is_measured_when(tmp_path: Path) -> None:
    result = run_of(tmp_path, "train.steps=7", "measure={every: 3, test_every: 5}", "seeds=1", "data.val_size=9")
    assert column(result, "curves", "step", split="train") == [0, 3, 6, 7]
    assert column(result, "curves", "step", split="test") == [0, 5, 7]
    assert column(result, "curves", "step", split="val") == [0, 5, 7]
    assert sorted(set(column(result, "gradients", "step"))) == [0, 3, 6, 7]


def test_default_intervals_give_a_hundred_points_and_ten_tests(tmp_path: Path) -> None:
    result = run_of(tmp_path, "train.steps=200", "measure={}", "seeds=1")
    assert column(result, "curves", "step", split="train") == list(range(0, 201, 2))
    assert column(result, "curves", "step", split="test") == list(range(0, 201, 20))


def test_the_last_test_point_is_the_final_one(tmp_path: Path) -> None:
    """The batch that is only measured at the end must not move batch-norm statistics before the finals."""
    result = run_of(tmp_path, "model.norm=batch", "data.val_size=9")
    for trial in rows(result, "trials"):
        for split in ("test", "val"):
            (last,) = rows(result, "curves", trial=trial["trial"], split=split, step=6)
            assert trial[f"final_{split}_loss"] == last["loss"]
        (last,) = rows(result, "curves", trial=trial["trial"], split="test", step=6)
        assert trial["final_test_accuracy"] == last["accuracy"]


def test_final_train_loss_is_over_the_first_5000_examples(tmp_path: Path) -> None:
    settings = ("data.train_size=5300", "data.features=2", "model.width=3", "seeds=1", "train.steps=2")
    result = run_of(tmp_path, *settings)
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
    loss, accuracy = evaluate(model, data.test, data.task)
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


@pytest.mark.parametrize("settings", CLASSIFIERS.values(), ids=CLASSIFIERS.keys())
def test_zeros_start_at_ln_classes_with_no_hidden_gradient(settings: tuple[str, ...], tmp_path: Path) -> None:
    result = run_of(tmp_path, *settings, "schemes=[zeros]", "seeds=1")
    classes = plan_of(*settings).settings[0].task.outputs
    for loss in column(result, "curves", "loss", step=0):
        assert loss == pytest.approx(math.log(classes), rel=1e-6)
    norms = {row["param"]: float(row["grad_norm"]) for row in rows(result, "gradients", step=0)}
    assert norms.pop("head.bias") > 0
    norms.pop("head.weight")
    assert set(norms.values()) == {0.0}


def test_outcomes_follow_the_rule(tmp_path: Path) -> None:
    settings = ("schemes=[zeros, kaiming_normal, ones]", "train.steps=40", "train.lr=[0.001, 0.1]")
    result = run_of(tmp_path, *settings)
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


def test_regression_has_no_accuracy(tmp_path: Path) -> None:
    result = run_of(tmp_path, *RNN)
    assert {row["accuracy"] for row in rows(result, "curves")} == {""}
    assert {row["final_test_accuracy"] for row in rows(result, "trials")} == {""}


@pytest.mark.parametrize("lr", [1e30, 5.0, 2.0])
@pytest.mark.parametrize("test_every", [1, 4, 60])
def test_a_trial_diverges_at_the_exact_first_step(lr: float, test_every: int, tmp_path: Path) -> None:
    settings = (
        *("model={name: mlp, depth: 2, width: 6, activation: linear}", "schemes=[xavier_normal]"),
        *("data={name: adding, length: 6, train_size: 40, test_size: 20}", f"train.lr=[{lr}, 0.001]"),
        *("train.steps=60", f"measure={{every: 1, test_every: {test_every}}}"),
    )
    heard = Heard()
    result = run_of(tmp_path, *settings, heard=heard)
    for trial in plan_of(*settings).trials:
        wanted = plain.train(trial).first_bad
        (row,) = rows(result, "trials", trial=trial.key)
        steps = column(result, "curves", "step", trial=trial.key, split="train")
        norm_steps = column(result, "gradients", "step", trial=trial.key)
        assert (wanted is None) == (trial.lr == 0.001)
        if wanted is None:
            assert (row["status"], row["diverged_step"]) == ("ok", "")
            assert steps == list(range(61))
            continue
        assert (row["status"], row["outcome"], row["diverged_step"]) == ("diverged", "diverged", str(wanted))
        assert [row[name] for name in row if name.startswith("final_")] == [""] * 4
        assert steps == sorted(set(norm_steps)) == list(range(wanted))
        assert all(step < wanted for step in column(result, "curves", "step", trial=trial.key))
        assert all(math.isfinite(loss) for loss in column(result, "curves", "loss", trial=trial.key, split="train"))
    assert [status for _, status in heard.done].count("diverged") == 2
    assert heard.steps == 4 * 60


def test_divergence_at_step_0_leaves_no_rows(tmp_path: Path) -> None:
    result = run_of(tmp_path, "schemes=[{scheme: constant, label: huge, val: 1.0e+30}, kaiming_normal]")
    assert {row["diverged_step"] for row in rows(result, "trials", label="huge")} == {"0"}
    assert rows(result, "curves", label="huge") == rows(result, "gradients", label="huge") == []
    assert len(rows(result, "init", label="huge")) == 2 * 6
    assert {row["status"] for row in rows(result, "trials", label="kaiming_normal")} == {"ok"}


def test_a_held_out_loss_that_is_not_finite_is_a_divergence_too() -> None:
    tape, fine = Tape(steps=9, every=1, test_every=3, device="cpu"), torch.tensor(1.0)
    for step in range(7):
        if tape.tests(step):
            tape.point(step, "test", fine / 0 if step == 3 else fine, fine)
        tape.watch(step, fine.reshape(1), fine.reshape(1))
        tape.point(step, "train", fine, fine)
    chunk = tape.chunk(6)
    assert tape.diverged_step == 3
    assert [(p.step, p.split) for p in chunk.points] == [(0, "test"), (0, "train"), (1, "train"), (2, "train")]


def test_a_gradient_too_large_for_a_float_norm_is_not_a_divergence(tmp_path: Path) -> None:
    result = run_of(
        tmp_path, "schemes=[{scheme: constant, label: big, val: 1.0e+10}]", "train.lr=1e-30", "model.activation=linear"
    )
    norms = column(result, "gradients", "grad_norm", param="head.weight")
    assert max(norms) > 2e19  # its square is beyond float32
    assert {row["status"] for row in rows(result, "trials")} == {"ok"}


def test_learning_rates_and_labels_do_not_touch_each_other(tmp_path: Path) -> None:
    many = run_of(tmp_path / "many", "schemes=[ones, zeros, kaiming_normal]", "train.lr=[1e30, 0.1]", "seeds=3")
    alone = run_of(tmp_path / "alone", "seeds=[2]")
    key = "kaiming_normal/0.1/2"
    for table in ("curves", "gradients", "init", "trials"):
        assert rows(many, table, trial=key) == rows(alone, table)


def test_another_order_of_schemes_gives_the_same_trials(tmp_path: Path) -> None:
    one = run_of(tmp_path / "one", "schemes=[sparse_, pytorch_default, orthogonal]".replace("sparse_", "ones"))
    two = run_of(tmp_path / "two", "schemes=[orthogonal, ones, pytorch_default]")
    for table in ("trials", "curves", "gradients", "init"):
        assert sorted(map(str, rows(one, table))) == sorted(map(str, rows(two, table)))
    assert [row["label"] for row in rows(two, "trials")][::2] == ["orthogonal", "ones", "pytorch_default"]


@pytest.mark.parametrize("settings", [MLP, CNN, LSTM], ids=["mlp", "cnn", "lstm"])
def test_the_same_config_twice_gives_the_same_bytes(settings: tuple[str, ...], tmp_path: Path) -> None:
    results = []
    for name in ("one", "two"):
        torch.rand(len(results) + 1)  # whatever the global generator's state is
        results.append(run_of(tmp_path / name, *settings, "schemes=[pytorch_default, orthogonal]", fresh=True))
    one, two = (result.directory for result in results)
    assert one.name == two.name
    for table in DETERMINISTIC:
        assert (one / f"{table}.csv").read_bytes() == (two / f"{table}.csv").read_bytes(), table
    assert (one / "config.yaml").read_bytes() == (two / "config.yaml").read_bytes()


def test_a_run_leaves_all_global_generators_alone(tmp_path: Path) -> None:
    import random

    import numpy as np

    torch_state, python_state, numpy_state = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    run_of(tmp_path, "schemes=[pytorch_default, as_built, {scheme: sparse, sparsity: 0.5}, orthogonal]")
    assert torch.equal(torch_state, torch.get_rng_state())
    assert random.getstate() == python_state
    assert np.array_equal(np.random.get_state()[1], numpy_state[1])  # noqa: NPY002


def test_threads_are_those_of_the_run_and_put_back(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    run_of(tmp_path)
    assert torch.get_num_threads() == before


def test_varied_trials_equal_those_of_the_value_alone(tmp_path: Path) -> None:
    varied = run_of(tmp_path / "varied", "vary.model.depth=[1, 3]", "schemes=[kaiming_normal, zeros]")
    labels = ["kaiming_normal@depth=1", "zeros@depth=1", "kaiming_normal@depth=3", "zeros@depth=3"]
    assert list(dict.fromkeys(row["label"] for row in rows(varied, "trials"))) == labels
    for depth in (1, 3):
        alone = run_of(tmp_path / f"alone{depth}", f"model.depth={depth}")
        assert _values(alone, "curves", "kaiming_normal") == _values(varied, "curves", f"kaiming_normal@depth={depth}")
        assert _values(alone, "init", "kaiming_normal") == _values(varied, "init", f"kaiming_normal@depth={depth}")


def _values(result: Result, table: str, label: str) -> list[list[str]]:
    names = {"trial", "label"}
    return [[v for k, v in row.items() if k not in names] for row in rows(result, table, label=label)]


def test_csv_numbers_are_doubles_written_out(tmp_path: Path) -> None:
    result = run_of(tmp_path)
    for table in DETERMINISTIC:
        with (result.directory / f"{table}.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                for name in ("loss", "grad_norm", "mean", "std", "final_test_loss", "lr"):
                    assert not row.get(name) or repr(float(row[name])) == row[name]
