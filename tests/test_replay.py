"""The same config gives the same bytes, and with the serial engine whatever stands beside a trial.

A stack may round a trial differently from another stack; ``test_parity.py`` bounds by how much.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small import bytes_of, rows, run_of

from winit_cli.runner import Result

MLP = ("model.activation=tanh",)


CNN = (
    "model={name: cnn, channels: [3, 4]}",
    "data={name: digits, train_size: 60, test_size: 30}",
    "schemes=[pytorch_default]",
)


LSTM = ("model={name: lstm, hidden: 6}", "data={name: recall, lag: 4, symbols: 3, train_size: 40, test_size: 20}")


def test_learning_rates_and_labels_do_not_touch_each_other(tmp_path: Path) -> None:
    many = run_of(
        tmp_path / "many", "engine=serial", "schemes=[ones, zeros, kaiming_normal]", "train.lr=[1e30, 0.1]", "seeds=3"
    )
    alone = run_of(tmp_path / "alone", "engine=serial", "seeds=[2]")
    key = "kaiming_normal/0.1/2"
    for table in ("curves", "gradients", "init", "trials"):
        assert rows(many, table, trial=key) == rows(alone, table)


def test_another_order_of_schemes_gives_the_same_trials(tmp_path: Path) -> None:
    one = run_of(tmp_path / "one", "engine=serial", "schemes=[ones, pytorch_default, orthogonal]")
    two = run_of(tmp_path / "two", "engine=serial", "schemes=[orthogonal, ones, pytorch_default]")
    for table in ("trials", "curves", "gradients", "init"):
        assert sorted(map(str, rows(one, table))) == sorted(map(str, rows(two, table)))
    assert [row["label"] for row in rows(two, "trials")][::2] == ["orthogonal", "ones", "pytorch_default"]


@pytest.mark.parametrize("engine", ["serial", "stacked"])
@pytest.mark.parametrize("settings", [MLP, CNN, LSTM], ids=["mlp", "cnn", "lstm"])
def test_the_same_config_twice_gives_the_same_bytes(settings: tuple[str, ...], engine: str, tmp_path: Path) -> None:
    results = []
    for name in ("one", "two"):
        torch.rand(len(results) + 1)  # whatever the global generator's state is
        more = ("schemes=[pytorch_default, orthogonal]", f"engine={engine}")
        results.append(run_of(tmp_path / name, *settings, *more, fresh=True))
    one, two = results
    assert one.directory.name == two.directory.name
    assert bytes_of(one) == bytes_of(two)
    assert (one.directory / "config.yaml").read_bytes() == (two.directory / "config.yaml").read_bytes()


def test_a_run_leaves_all_global_generators_alone(tmp_path: Path) -> None:
    import random

    import numpy as np

    torch_state, python_state, numpy_state = torch.get_rng_state(), random.getstate(), np.random.get_state()
    run_of(tmp_path, "schemes=[pytorch_default, as_built, {scheme: sparse, sparsity: 0.5}, orthogonal]")
    assert torch.equal(torch_state, torch.get_rng_state())
    assert random.getstate() == python_state
    assert np.array_equal(np.random.get_state()[1], numpy_state[1])


def test_threads_are_those_of_the_run_and_put_back(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    run_of(tmp_path)
    assert torch.get_num_threads() == before


def test_varied_trials_equal_those_of_the_value_alone(tmp_path: Path) -> None:
    serial, schemes = "engine=serial", "schemes=[kaiming_normal, zeros]"
    varied = run_of(tmp_path / "varied", serial, "vary.model.depth=[1, 3]", schemes)
    labels = ["kaiming_normal@depth=1", "zeros@depth=1", "kaiming_normal@depth=3", "zeros@depth=3"]
    assert list(dict.fromkeys(row["label"] for row in rows(varied, "trials"))) == labels
    for depth in (1, 3):
        alone = run_of(tmp_path / f"alone{depth}", serial, f"model.depth={depth}")
        assert _values(alone, "curves", "kaiming_normal") == _values(varied, "curves", f"kaiming_normal@depth={depth}")
        assert _values(alone, "init", "kaiming_normal") == _values(varied, "init", f"kaiming_normal@depth={depth}")


def _values(result: Result, table: str, label: str) -> list[list[str]]:
    names = {"trial", "label"}
    return [[v for k, v in row.items() if k not in names] for row in rows(result, table, label=label)]
