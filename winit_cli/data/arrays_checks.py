"""Check a user's inputs and targets and bring them to the types that training expects.

Shape letters: N examples, T time steps, F features, C channels, K scored steps, O target columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winit_cli.data.dataset import Task
from winit_cli.errors import DataError

Array = NDArray[Any]


@dataclass(frozen=True)
class Targets:
    """Checked targets: int64 classes or float32 values; ``steps`` is K, or 0 for one per example."""

    train: Array
    test: Array
    outputs: int
    steps: int = 0


def check_inputs(arrays: Mapping[str, Array], *, tokens: bool = False) -> tuple[Array, Array]:
    """x_train and x_test as float32, or as int64 where they hold tokens.

    Raises:
        DataError: shapes or lengths that do not fit, or values that are not finite.
    """
    for name in ("x_train", "x_test"):
        if arrays[name].ndim < 2:
            raise DataError(
                f"{name} has shape {arrays[name].shape}, expected (N, features), (N, time, features) "
                f"or (N, channels, height, width)"
            )
    train, test = arrays["x_train"], arrays["x_test"]
    if train.shape[1:] != test.shape[1:]:
        raise DataError(
            f"x_train has examples of shape {train.shape[1:]} and x_test of {test.shape[1:]}, expected the same"
        )
    for part in ("train", "test"):
        _check_lengths(arrays, part)
    read = _tokens if tokens else check_finite
    return read("x_train", train), read("x_test", test)


def _tokens(name: str, array: Array) -> Array:
    """The array as int64, if it holds whole numbers from 0."""
    whole = check_finite(name, array)
    bad = (whole < 0) | (whole != np.round(whole))
    if bad.any():
        raise DataError(
            f"{name} has values that are no tokens: {int(bad.sum())} of {bad.size}, the first {array[bad][0]} at index "
            f"{_first(bad)}; expected whole numbers from 0"
        )
    return array.astype(np.int64)


def _first(bad: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))


def _check_lengths(arrays: Mapping[str, Array], part: str) -> None:
    inputs, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
    # a y without dimensions is left to the check of its dimensions
    if y.ndim and len(inputs) != len(y):
        raise DataError(f"x_{part} has {len(inputs)} examples and y_{part} {len(y)}, expected as many")


def check_finite(name: str, array: Array) -> Array:
    """The array as float32, if every value is finite there."""
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    bad = ~np.isfinite(single)
    if bad.any():
        raise DataError(
            f"{name} has NaN or infinite values: {int(bad.sum())} of {bad.size}, the first at index {_first(bad)}; "
            f"expected finite 32-bit floats"
        )
    return single


def check_targets(arrays: Mapping[str, Array], task: Task, *, tokens: bool = False) -> Targets:
    """y_train and y_test as the task wants them.

    Raises:
        DataError: wrong dimensions, values not finite, or labels other than 0..C-1.
    """
    return _values(arrays) if task == "regression" else _classes(arrays, tokens)


def _values(arrays: Mapping[str, Array]) -> Targets:
    train, test = (_columns(name, check_finite(name, arrays[name])) for name in ("y_train", "y_test"))
    _check_same_columns(train, test)
    return Targets(train, test, outputs=train.shape[1])


def _columns(name: str, y: Array) -> Array:
    if y.ndim not in (1, 2):
        raise DataError(f"{name} has shape {y.shape}, expected (N,) or (N, outputs) for regression")
    return y.reshape(len(y), -1)


def _classes(arrays: Mapping[str, Array], tokens: bool) -> Targets:
    shape = arrays["x_train"].shape
    steps = shape[1] if tokens or len(shape) == 3 else 0
    train, test = (_labels(name, arrays[name], steps) for name in ("y_train", "y_test"))
    _check_same_columns(train, test)
    classes = _count_classes(train)
    if test.min() < 0 or test.max() >= classes:
        raise DataError(
            f"y_test has labels from {test.min()} to {test.max()}, expected labels of y_train: 0 to {classes - 1}"
        )
    return Targets(train, test, outputs=classes, steps=train.shape[1] if train.ndim == 2 else 0)


def _labels(name: str, y: Array, steps: int) -> Array:
    """Labels as int64, (N,) or, for sequences of so many time steps, (N, K) with K at most these."""
    if y.ndim != 1 and not (y.ndim == 2 and y.shape[1] <= steps):
        wanted = f"(N,) or (N, K) with K at most the {steps} time steps" if steps else "(N,)"
        raise DataError(f"{name} has shape {y.shape}, expected {wanted} for classification")
    if y.dtype.kind == "f":
        whole = check_finite(name, y)
        if (whole != np.round(whole)).any():
            raise DataError(
                f"{name} has fractions such as {whole[whole != np.round(whole)][0]}, expected whole labels; "
                f"or set task: regression"
            )
    return y.astype(np.int64)


def _count_classes(train: Array) -> int:
    found = np.unique(train)
    if len(found) < 2 or found[0] != 0 or found[-1] != len(found) - 1:
        raise DataError(
            f"y_train has labels {_few(found)}, expected 0, 1, … C-1 with every one of at least two present; "
            f"renumber with numpy.unique(y, return_inverse=True), or set task: regression"
        )
    return len(found)


def _few(found: Array) -> str:
    listed = ", ".join(str(label) for label in found[:8])
    return listed if len(found) <= 8 else f"{listed}, … {found[-1]} ({len(found)} of them)"


def _check_same_columns(train: Array, test: Array) -> None:
    if train.shape[1:] != test.shape[1:]:
        raise DataError(f"y_train has shape {train.shape} and y_test {test.shape}, expected the same number of columns")
