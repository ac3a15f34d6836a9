"""The generated data sets mean what their docstrings say."""

from __future__ import annotations

import math

import pytest
import torch

from winit_cli.data.dataset import constant_loss
from winit_cli.data.generated import adding, copying, gaussian, recall
from winit_cli.errors import DataError


def test_gaussian_is_balanced_unit_noise_around_shared_centres() -> None:
    data = gaussian(features=16, classes=4, train_size=4000, test_size=4000)
    assert torch.bincount(data.train.y).tolist() == [1000] * 4
    train_centres = torch.stack([data.train.x[data.train.y == c].mean(0) for c in range(4)])
    test_centres = torch.stack([data.test.x[data.test.y == c].mean(0) for c in range(4)])
    torch.testing.assert_close(train_centres, test_centres, atol=0.2, rtol=0)
    noise = data.train.x - train_centres[data.train.y]
    assert float(noise.std()) == pytest.approx(1, abs=0.02)
    assert constant_loss(data) == pytest.approx(math.log(4))


@pytest.mark.parametrize("length", [2, 3, 50])
def test_adding_marks_one_step_in_each_half(length: int) -> None:
    data = adding(length=length, train_size=500)
    values, marks = data.train.x.unbind(dim=2)
    assert data.input_shape == (length, 2)
    assert marks.unique().tolist() == ([1.0] if length == 2 else [0.0, 1.0])
    assert (marks[:, : length // 2].sum(1) == 1).all()
    assert (marks[:, length // 2 :].sum(1) == 1).all()
    torch.testing.assert_close((values * marks).sum(1, keepdim=True), data.train.y)
    assert values.min() >= 0 and values.max() < 1


def test_predicting_the_mean_of_adding_costs_a_sixth() -> None:
    assert constant_loss(adding(length=10, train_size=5000)) == pytest.approx(1 / 6, rel=0.05)


def test_adding_needs_two_steps() -> None:
    with pytest.raises(DataError, match="length = 1, but two steps are marked; take 2 or more"):
        adding(length=1)


@pytest.mark.parametrize("lag", [1, 20])
def test_copying_lays_out_symbols_blanks_and_the_go_marker(lag: int) -> None:
    data = copying(lag=lag, symbols=5, train_size=300)
    assert (data.input_shape, data.outputs, data.target_steps) == ((lag + 20, 7), 5, 10)
    assert (data.train.x.sum(dim=2) == 1).all()
    steps = data.train.x.argmax(dim=2)
    assert torch.equal(steps[:, :10], data.train.y)
    assert (steps[:, 10 : 9 + lag] == 5).all()
    assert (steps[:, 9 + lag] == 6).all()
    assert (steps[:, 10 + lag :] == 5).all()


def test_recall_shows_the_symbol_once() -> None:
    data = recall(lag=7, symbols=3, train_size=300)
    assert data.input_shape == (8, 3)
    assert torch.equal(data.train.x[:, 0].argmax(1), data.train.y)
    assert (data.train.x[:, 0].sum(1) == 1).all()
    assert (data.train.x[:, 1:] == 0).all()


@pytest.mark.parametrize("load", [gaussian, adding, copying, recall])
def test_parts_are_independent(load: object) -> None:
    data = load(train_size=300, val_size=300, test_size=300)  # type: ignore[operator]
    orders = [part.y.flatten().tolist() for part in (data.train, data.val, data.test)]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    alone = load(train_size=10, test_size=300)  # type: ignore[operator]
    assert torch.equal(alone.test.x, data.test.x)
