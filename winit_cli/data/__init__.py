"""Data sets: one row each. To add one, write a loader and add its row.

A loader's keyword-only parameters are its options; it returns a ``Dataset`` and never downloads.
"""

from __future__ import annotations

from functools import partial

from winit_cli.data.arrays import npz
from winit_cli.data.dataset import DatasetRow
from winit_cli.data.generated import adding, copying, gaussian, recall
from winit_cli.data.images import cifar10, digits, fashion_mnist, mnist
from winit_cli.data.torchvision_files import download
from winit_cli.tables import table

DATASETS: dict[str, DatasetRow] = table(
    DatasetRow("mnist", mnist, "handwritten digits, 28x28 grey, 10 classes", download=partial(download, "mnist")),
    DatasetRow(
        "fashion_mnist",
        fashion_mnist,
        "clothing, 28x28 grey, 10 classes",
        ("fashionmnist",),
        partial(download, "fashion_mnist"),
    ),
    DatasetRow(
        "cifar10", cifar10, "photographs, 32x32 colour, 10 classes", ("cifar_10",), partial(download, "cifar10")
    ),
    DatasetRow("digits", digits, "handwritten digits, 8x8 grey, 10 classes, 1,797 images"),
    DatasetRow("npz", npz, "your own arrays: x_train, y_train, x_test, y_test in one .npz file"),
    DatasetRow("gaussian", gaussian, "generated: Gaussian classes around random centres"),
    DatasetRow("adding", adding, "generated: sum the two marked values of a sequence (regression)"),
    DatasetRow("copying", copying, "generated: repeat ten symbols after a lag"),
    DatasetRow("recall", recall, "generated: name the first symbol of a sequence at its end"),
)

__all__ = ["DATASETS", "DatasetRow"]
