"""Full image sets in torchvision's layout on disk: find, read and download them."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winit_cli.data import sidecar
from winit_cli.data.cache import cache_dir
from winit_cli.data.vision import import_torchvision
from winit_cli.errors import DataError, MissingDataError, StorageError

SILENCE_SECONDS = 30.0

Images = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True)
class Layout:
    """A set's class in ``torchvision.datasets`` and the files it needs below its root."""

    class_name: str
    folder: str
    files: tuple[str, ...]


_IDX_FILES = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
_CIFAR_FILES = ("batches.meta", "test_batch", *(f"data_batch_{i}" for i in range(1, 6)))

LAYOUTS = {
    "mnist": Layout("MNIST", "MNIST/raw", _IDX_FILES),
    "fashion_mnist": Layout("FashionMNIST", "FashionMNIST/raw", _IDX_FILES),
    "cifar10": Layout("CIFAR10", "cifar-10-batches-py", _CIFAR_FILES),
}


def roots() -> list[Path]:
    """Where sets are looked for, in order: ``$WINIT_DATA``, ``./data``, the cache."""
    chosen = os.environ.get("WINIT_DATA")
    return [*([Path(chosen)] if chosen else []), Path("data"), cache_dir() / "torchvision"]


def find_root(name: str) -> Path | None:
    """The first root that has every file of the set; nothing is opened."""
    return next((root for root in roots() if _is_complete(name, root)), None)


def _is_complete(name: str, root: Path) -> bool:
    layout = LAYOUTS[name]
    return all((root / layout.folder / file).is_file() for file in layout.files)


def _damaged(name: str, root: Path) -> Path | None:
    """The first of a complete set's files that is no longer what was downloaded."""
    try:
        return sidecar.first_damaged(root / LAYOUTS[name].folder, LAYOUTS[name].files)
    except OSError as error:
        raise DataError(f"{name}: {error.filename} cannot be read: {error.strerror}; check its permissions") from error


def read(name: str) -> tuple[Images, Images]:
    """The official training and test part: images uint8 (N, C, H, W) and labels (N,).

    Files that winit downloaded must still be what they were then; others are read as they are.

    Raises:
        MissingDataError: the files are not on disk.
        DataError: they are damaged.
        UsageError: torchvision is not installed.
    """
    root = find_root(name)
    if root is None:
        looked = ", ".join(str(path) for path in roots())
        raise MissingDataError(
            f"{name}: the full set is not on disk (looked in {looked}); get it with `winit data download {name}`"
        )
    damaged = _damaged(name, root)
    if damaged is not None:
        cure = f"`winit data download {name}` fetches it again"
        raise DataError(f"{name}: {damaged} is damaged, it is not what was downloaded; {cure}")
    return _read_part(name, root, train=True), _read_part(name, root, train=False)


def _read_part(name: str, root: Path, train: bool) -> Images:
    layout = LAYOUTS[name]
    part_class = getattr(import_torchvision(), layout.class_name)
    try:
        part = part_class(root, train=train, download=False)
        return _arrays(part)
    except Exception as error:  # truncated files fail in many ways, assertions among them
        reason = f" ({_one_line(error)})" if str(error) else ""
        raise DataError(
            f"{name}: the files in {root / layout.folder} are damaged{reason}; "
            f"delete that folder, then `winit data download {name}`"
        ) from error


def _arrays(part: Any) -> Images:
    """torchvision's (N, H, W) or (N, H, W, C) bytes as (N, C, H, W), with labels 0..9."""
    images = np.asarray(part.data, dtype=np.uint8)
    images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    labels = np.asarray(part.targets, dtype=np.int64)
    if len(images) != len(labels) or len(labels) == 0:
        raise ValueError(f"{len(images)} images and {len(labels)} labels")
    if labels.min() < 0 or labels.max() > 9:
        raise ValueError(f"labels from {labels.min()} to {labels.max()}, expected 0 to 9")
    return images, labels


def download(name: str) -> None:
    """Fetch the full set to ``$WINIT_DATA`` or else the cache, with a progress bar on stderr.

    A set that lies there stays, but one that was downloaded before and has been damaged since is fetched again to where
    it lies. It is fetched and read beside its destination, then moved file by file after the record of what the files
    are: what is interrupted leaves nothing that could be mistaken for a set.

    Raises:
        StorageError: no network, a damaged download, or no permission to write.
        UsageError: torchvision is not installed.
    """
    target = Path(os.environ.get("WINIT_DATA") or cache_dir() / "torchvision")
    found = find_root(name)
    if found is not None and _damaged(name, found) is not None:
        target = found
    elif _is_complete(name, target) and _damaged(name, target) is None:
        return
    part_class = getattr(import_torchvision(), LAYOUTS[name].class_name)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=".download-") as staging, _impatient():
            part_class(staging, train=True, download=True)
            part_class(staging, train=False, download=False)
            _move(name, Path(staging), target)
    except (OSError, EOFError, RuntimeError, ValueError, http.client.HTTPException) as error:
        raise StorageError(
            f"cannot download {name} to {target}: {_one_line(error)}; check the network and the folder, "
            f"or set WINIT_DATA to a folder that already has torchvision's files"
        ) from error


def _move(name: str, staging: Path, target: Path) -> None:
    layout = LAYOUTS[name]
    fetched, folder = staging / layout.folder, target / layout.folder
    folder.mkdir(parents=True, exist_ok=True)
    sidecar.record(folder, sidecar.hashes_of(fetched, layout.files))
    for file in layout.files:
        (fetched / file).replace(folder / file)


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """Give up on a silent server, and keep what torchvision prints off stdout."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_SECONDS)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        socket.setdefaulttimeout(before)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
