"""What holds for every data set, and the pieces that they share."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from winit_cli.data import DATASETS
from winit_cli.data.cache import cache_dir
from winit_cli.data.dataset import Dataset, Part, constant_loss
from winit_cli.data.split import stratified
from winit_cli.data.standardize import standardize
from winit_cli.rng import generator
from winit_cli.tables import find, options_of

SIZES = {"train_size": 200, "val_size": 50, "test_size": 50}


@pytest.fixture(params=list(DATASETS))
def loaded(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, Any]]:
    """A data set's name and the options to load a little of it."""
    name = request.param
    if name in ("fashion_mnist", "cifar10"):
        request.getfixturevalue("full_sets")
    options: dict[str, Any] = dict(SIZES)
    if name == "mnist":
        options["source"] = "packaged"
    if name == "npz":
        draws = np.random.default_rng(0)
        x, y = draws.normal(size=(400, 5)), np.arange(400) % 4
        np.savez(tmp_path / "mine.npz", x_train=x[:300], y_train=y[:300], x_test=x[300:], y_test=y[300:])
        options["path"] = str(tmp_path / "mine.npz")
    return name, options


def test_every_set_has_the_promised_form(loaded: tuple[str, dict[str, Any]]) -> None:
    name, options = loaded
    data = DATASETS[name].load(**options)
    assert data.name == name
    assert data.val is not None
    for part, size in ((data.train, 200), (data.val, 50), (data.test, 50)):
        assert part.x.dtype == torch.float32
        assert part.x.shape == (size, *data.input_shape)
        assert part.x.isfinite().all()
        if data.task == "regression":
            assert (part.y.dtype, part.y.shape) == (torch.float32, (size, data.outputs))
        else:
            assert part.y.dtype == torch.int64
            assert part.y.shape == ((size, data.target_steps) if data.target_steps else (size,))
            assert set(part.y.flatten().tolist()) <= set(range(data.outputs))
    assert constant_loss(data) > 0


def test_every_set_is_decided_by_its_seed(loaded: tuple[str, dict[str, Any]]) -> None:
    name, options = loaded
    load = DATASETS[name].load
    state = torch.get_rng_state()
    first = load(**options)
    assert load(**options).fingerprint == first.fingerprint
    assert load(**options, seed=1).fingerprint != first.fingerprint
    assert torch.equal(torch.get_rng_state(), state)


def test_every_set_has_disjoint_parts(loaded: tuple[str, dict[str, Any]]) -> None:
    name, options = loaded
    data = DATASETS[name].load(**options)
    if name == "recall":
        return  # it has one example per symbol, so its parts must repeat each other
    assert data.val is not None
    seen = [row.numpy().tobytes() for part in (data.train, data.val, data.test) for row in part.x]
    repeats = sum(count - 1 for count in Counter(seen).values())
    assert repeats == 0


def test_every_set_can_do_without_validation(loaded: tuple[str, dict[str, Any]]) -> None:
    name, options = loaded
    assert DATASETS[name].load(**{**options, "val_size": 0}).val is None


@pytest.mark.parametrize("name", DATASETS)
def test_every_set_checks_its_options(name: str) -> None:
    options = options_of(DATASETS[name].load)
    required = {"path": "mine.npz"} if name == "npz" else {}
    assert options(**required, seed=3)
    for wrong in ({"train_size": 0}, {"test_size": "many"}, {"sed": 1}, {"val_size": -1}):
        with pytest.raises(ValidationError):
            options(**required, **wrong)


def test_only_sets_with_files_to_fetch_can_be_downloaded() -> None:
    assert [name for name, row in DATASETS.items() if row.download] == ["mnist", "fashion_mnist", "cifar10"]


def test_a_set_is_found_by_alias() -> None:
    assert find(DATASETS, "Fashion-MNIST", "data set").name == "fashion_mnist"
    assert find(DATASETS, "cifar-10", "data set").name == "cifar10"


def test_importing_the_table_stays_light() -> None:
    code = (
        "import sys, winit_cli.data;"
        "print([name for name in ('mlxtend', 'sklearn', 'torchvision', 'pandas') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("winit", "xdg", "expected"),
    [("/a", "/b", "/a"), ("", "/b", "/b/winit"), ("", "", "/home/me/.cache/winit")],
)
def test_cache_dir(monkeypatch: pytest.MonkeyPatch, winit: str, xdg: str, expected: str) -> None:
    monkeypatch.setenv("WINIT_CACHE", winit)
    monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    monkeypatch.setenv("HOME", "/home/me")
    assert cache_dir() == Path(expected)


def tiny(y: torch.Tensor, **changes: Any) -> Dataset:
    part = Part(torch.zeros(len(y), 2), y)
    return Dataset("tiny", "classification", part, None, part, outputs=4, **changes)


def test_constant_loss_is_the_entropy_of_the_classes() -> None:
    assert constant_loss(tiny(torch.arange(8) % 4)) == pytest.approx(np.log(4))
    assert constant_loss(tiny(torch.tensor([0, 0, 0, 2]))) == pytest.approx(0.562335, abs=1e-6)
    assert constant_loss(tiny(torch.zeros(5, dtype=torch.int64))) == 0


def test_constant_loss_is_the_variance_of_the_targets() -> None:
    y = torch.tensor([[0.0, 5.0], [2.0, 5.0]])
    assert constant_loss(replace(tiny(y), task="regression")) == pytest.approx(0.5)


def test_constant_loss_looks_at_the_first_5000_examples() -> None:
    y = torch.cat([torch.zeros(5000), torch.ones(5000)]).long()
    assert constant_loss(tiny(y)) == 0


def test_the_fingerprint_covers_what_training_sees() -> None:
    base = tiny(torch.arange(8) % 4)
    same = tiny(torch.arange(8) % 4, source="generated", notes=("hello",))
    assert same.fingerprint == base.fingerprint
    other = [
        tiny(torch.arange(8) % 3),
        replace(base, outputs=5, fingerprint=""),
        replace(base, val=base.test, fingerprint=""),
        replace(base, train=Part(base.train.x + 1, base.train.y), fingerprint=""),
        replace(base, train=Part(base.train.x.reshape(8, 1, 2), base.train.y), fingerprint=""),
    ]
    assert len({data.fingerprint for data in (base, *other)}) == 6


def test_a_split_is_exact_disjoint_and_stratified() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 23])
    parts = stratified(labels, (10, 31, 62), generator("test"))
    assert [len(part) for part in parts] == [10, 31, 62]
    assert sorted(np.concatenate(parts)) == list(range(103))
    for part in parts:
        expected = len(part) * np.array([50, 30, 23]) / 103
        assert (abs(np.bincount(labels[part]) - expected) <= 1).all()
        assert (np.diff(labels[part]) < 0).any(), "sorted by class"


@pytest.mark.parametrize("size", [0, 1, 2, 7, 10])
def test_a_split_may_take_less_than_one_of_each_class(size: int) -> None:
    (part,) = stratified(np.arange(10), (size,), generator("test"))
    assert len(set(part)) == size


def test_a_part_stays_when_later_sizes_change() -> None:
    labels = np.arange(100) % 10
    first, _ = stratified(labels, (20, 30), generator("test"))
    again, _ = stratified(labels, (20, 80), generator("test"))
    assert (first == again).all()


@pytest.mark.parametrize(("shape", "axes"), [((50, 3), (0,)), ((50, 4, 3), (0, 1)), ((50, 3, 4, 4), (0, 2, 3))])
def test_standardize_per_feature(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(3, 5, shape)
    train, test = standardize(x, 2 * x, per="feature")
    np.testing.assert_allclose(train.mean(axis=axes), 0, atol=1e-6)
    np.testing.assert_allclose(train.std(axis=axes), 1, atol=1e-6)
    assert abs(test.std() - 2) < 0.1


def test_standardize_over_all() -> None:
    (train,) = standardize(np.array([[0.0, 10.0], [0.0, 10.0]]), per="all")
    np.testing.assert_allclose(train, [[-1, 1], [-1, 1]])


def test_standardize_only_shifts_what_is_constant() -> None:
    train, test = standardize(np.full((7, 1), 0.1), np.full((1, 1), 2.1), per="feature")
    np.testing.assert_allclose(train, 0, atol=1e-7)
    np.testing.assert_allclose(test, 2, atol=1e-6)


def test_bytes_and_floats_standardize_alike() -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 3, 5, 5), dtype=np.uint8)
    (from_bytes,) = standardize(x, per="feature")
    (from_floats,) = standardize(x.astype(np.float64), per="feature")
    np.testing.assert_allclose(from_bytes, from_floats, atol=1e-6)
