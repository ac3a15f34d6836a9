"""Fixtures for all tests: an environment of their own, and small image sets on disk."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from winit_cli.data import vision


@pytest.fixture(autouse=True, scope="session")
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's cache, data and results out of the tests; the cache is shared by all of them.

    No test cuts the power, so none waits until the disk has what was written.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WINIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("WINIT_DATA", raising=False)
        patch.delenv("WINIT_RESULTS", raising=False)
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Stacks one after another, each with one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def no_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing on disk: an empty working directory and an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WINIT_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def full_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with mnist, fashion_mnist and cifar10 in torchvision's layout: 300 training, 100 test images."""
    if not vision.installed():
        pytest.skip("torchvision is not installed")
    vision.import_torchvision()
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5=None: Path(path).is_file())
    root = tmp_path / "sets"
    monkeypatch.setenv("WINIT_DATA", str(root))
    for folder in ("MNIST/raw", "FashionMNIST/raw"):
        write_idx(root / folder)
    write_cifar(root / "cifar-10-batches-py")
    return root


@pytest.fixture
def there(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, from which the runs in the ``home`` of a test's module are found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WINIT_RESULTS", str(home / "results"))
    return tmp_path


def write_idx(folder: Path, train: int = 300, test: int = 100) -> None:
    """Images and labels in MNIST's idx format: magic number, dimensions, bytes."""
    folder.mkdir(parents=True)
    for part, size in (("train", train), ("t10k", test)):
        images, labels = _pixels(size, 28 * 28), _labels(size)
        head = struct.pack(">IIII", 0x803, size, 28, 28)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, size) + labels.tobytes())


def write_cifar(folder: Path) -> None:
    """CIFAR-10's pickled batches: five of 60 training images, one of 100 test images."""
    folder.mkdir(parents=True)
    pixels, labels = _pixels(400, 3 * 32 * 32), _labels(400).tolist()
    for i, name in enumerate([*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]):
        rows = slice(60 * i, 400 if name == "test_batch" else 60 * (i + 1))
        (folder / name).write_bytes(pickle.dumps({"data": pixels[rows], "labels": labels[rows]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [str(i) for i in range(10)]}))


def _pixels(size: int, values: int) -> np.ndarray:
    return np.random.default_rng(values + size).integers(0, 256, (size, values), dtype=np.uint8)


def _labels(size: int) -> np.ndarray:
    return (np.arange(size) % 10).astype(np.uint8)
