"""Data sets: one row each. To add one, write a loader and add its row.

A loader's keyword-only parameters are its options; it returns a ``Dataset`` and never downloads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from winit_cli.data.arrays import npz
from winit_cli.data.dataset import Dataset
from winit_cli.data.generated import adding, copying, gaussian, recall
from winit_cli.data.images import cifar10, digits, fashion_mnist, mnist
from winit_cli.data.torchvision_files import download
from winit_cli.tables import table


@dataclass(frozen=True)
class DatasetRow:
    """A data set: its names, one line about it, its loader, and how to fetch its files if that is needed."""

    name: str
    aliases: tuple[str, ...]
    summary: str
    load: Callable[..., Dataset]
    download: Callable[[], None] | None = None


DATASETS = table(
    DatasetRow("mnist", (), "handwritten digits, 28x28 grey, 10 classes", mnist, partial(download, "mnist")),
    DatasetRow(
        "fashion_mnist",
        ("fashionmnist",),
        "clothing, 28x28 grey, 10 classes",
        fashion_mnist,
        partial(download, "fashion_mnist"),
    ),
    DatasetRow(
        "cifar10", ("cifar_10",), "photographs, 32x32 colour, 10 classes", cifar10, partial(download, "cifar10")
    ),
    DatasetRow("digits", (), "handwritten digits, 8x8 grey, 10 classes, 1,797 images", digits),
    DatasetRow("npz", (), "your own arrays: x_train, y_train, x_test, y_test in one .npz file", npz),
    DatasetRow("gaussian", (), "generated: Gaussian classes around random centres", gaussian),
    DatasetRow("adding", (), "generated: sum the two marked values of a sequence (regression)", adding),
    DatasetRow("copying", (), "generated: repeat ten symbols after a lag", copying),
    DatasetRow("recall", (), "generated: name the first symbol of a sequence at its end", recall),
)
