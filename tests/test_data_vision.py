"""torchvision: importing it, doing without it, and downloading with it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from winit_cli.data import DATASETS, torchvision_files, vision
from winit_cli.data.images import mnist
from winit_cli.errors import StorageError, UsageError


class TestWithoutTorchvision:
    @pytest.fixture(autouse=True)
    def absent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(vision, "installed", lambda: False)

    @pytest.mark.parametrize(
        ("torch_version", "wanted"),
        [("2.13.0+cpu", "torchvision==0.28.0"), ("2.10.1", "torchvision==0.25.1"), ("3.0.0", "torchvision")],
    )
    def test_the_matching_version_is_named(
        self, monkeypatch: pytest.MonkeyPatch, torch_version: str, wanted: str
    ) -> None:
        monkeypatch.setattr(torch, "__version__", torch_version)
        with pytest.raises(UsageError, match=f"need torchvision, which is not installed; pip install {wanted}$"):
            vision.import_torchvision()

    def test_download_needs_it(self, no_sets: Path) -> None:
        with pytest.raises(UsageError, match="need torchvision"):
            torchvision_files.download("mnist")


def test_auto_falls_back_without_it_and_says_why(full_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision, "installed", lambda: False)
    data = mnist(train_size=100, test_size=100)
    assert data.source == "packaged"
    assert "`pip install torchvision" in data.notes[0]


def test_a_torchvision_that_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> bool:
        raise RuntimeError("undefined symbol\nand much more")

    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.setattr(vision, "installed", lambda: True)
    monkeypatch.setattr(vision, "_extension_loads", fail)
    with pytest.raises(UsageError, match=r"does not fit torch .* \(undefined symbol\); pip install torchvision"):
        vision.import_torchvision()


class FakeSet:
    """Stands for a torchvision class: 'downloads' by writing empty files."""

    files = torchvision_files.LAYOUTS["mnist"].files

    def __init__(self, root: str, train: bool, download: bool) -> None:
        print("chatter")
        folder = Path(root, "MNIST/raw")
        folder.mkdir(parents=True, exist_ok=True)
        for file in self.files:
            (folder / file).touch()
        self.finish()

    def finish(self) -> None: ...


class OfflineSet(FakeSet):
    files = FakeSet.files[:2]

    def finish(self) -> None:
        raise RuntimeError("Error downloading x.gz:\nTried http://a.example, got:\n<no route>\n")


class InterruptedSet(FakeSet):
    def finish(self) -> None:
        raise KeyboardInterrupt


class TestDownload:
    def use(self, monkeypatch: pytest.MonkeyPatch, fake: type[FakeSet]) -> None:
        monkeypatch.setattr(torchvision_files, "import_torchvision", lambda: SimpleNamespace(MNIST=fake))

    def test_it_fills_the_cache_and_keeps_stdout_clean(
        self, no_sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.use(monkeypatch, FakeSet)
        download = DATASETS["mnist"].download
        assert download
        download()
        target = no_sets / "cache" / "torchvision"
        assert torchvision_files.find_root("mnist") == target
        assert [path.name for path in target.iterdir()] == ["MNIST"]
        assert capsys.readouterr().out == ""
        self.use(monkeypatch, OfflineSet)
        download()  # what is complete is not fetched again

    def test_it_fills_the_chosen_folder(self, no_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.use(monkeypatch, FakeSet)
        monkeypatch.setenv("WINIT_DATA", str(no_sets / "mine"))
        torchvision_files.download("mnist")
        assert torchvision_files.find_root("mnist") == no_sets / "mine"

    def test_without_a_network(self, no_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.use(monkeypatch, OfflineSet)
        with pytest.raises(StorageError) as caught:
            torchvision_files.download("mnist")
        message = str(caught.value)
        target = no_sets / "cache" / "torchvision"
        assert message.startswith(f"cannot download mnist to {target}: Error downloading x.gz")
        assert "check the network" in message
        assert "\n" not in message
        assert list((no_sets / "cache" / "torchvision").iterdir()) == []

    def test_interrupted(self, no_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.use(monkeypatch, InterruptedSet)
        with pytest.raises(KeyboardInterrupt):
            torchvision_files.download("mnist")
        assert list((no_sets / "cache" / "torchvision").iterdir()) == []

    def test_a_folder_that_cannot_be_made(self, no_sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.use(monkeypatch, FakeSet)
        (no_sets / "file").touch()
        monkeypatch.setenv("WINIT_DATA", str(no_sets / "file"))
        with pytest.raises(StorageError, match="cannot download mnist"):
            torchvision_files.download("mnist")


@pytest.mark.skipif(not vision.installed(), reason="torchvision is not installed")
def test_torchvision_imports_whatever_its_build() -> None:
    datasets = vision.import_torchvision()
    from torchvision import models, transforms

    assert datasets.MNIST and transforms.Compose and models.resnet18
