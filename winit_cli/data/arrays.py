"""Bring your own arrays: in one .npz file with x_train, y_train, x_test and y_test, or from Python.

Shape letters: N examples, T time steps, F features, C channels, K scored steps, O target columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch

from winit_cli.data.arrays_checks import Array, Targets, check_finite, check_inputs, check_targets
from winit_cli.data.arrays_file import NAMES, numeric, read_arrays
from winit_cli.data.dataset import Dataset, Part, Task
from winit_cli.data.split import Indices, require, stratified
from winit_cli.data.standardize import standardize
from winit_cli.errors import DataError
from winit_cli.rng import generator
from winit_cli.tables import Flag, Int, NonNegativeInt, PositiveInt

TaskOption = Literal["auto", "classification", "regression"]
Normalize = Flag | Literal["per_feature"]
HELD_OUT = 0.2  # of the examples, where no test part is given


def npz(
    *,
    path: str,
    task: TaskOption = "auto",
    normalize: Normalize = True,
    tokens: Flag = False,
    train_size: PositiveInt | None = None,
    val_size: NonNegativeInt = 0,
    test_size: PositiveInt | None = None,
    seed: Int = 0,
) -> Dataset:
    """The arrays of a file, all of them or as many as the sizes say, in shuffled order.

    Float y means regression, integer or boolean y classification, unless ``task`` says otherwise.
    ``normalize`` true standardizes x by one mean and std of the training part, ``per_feature`` by one
    per channel or per entry of the last axis. With ``tokens`` x holds whole numbers from 0 for an embedding and
    stays as it is. The validation part is cut from x_train.

    Shapes: x (N, F), (N, T, F), (N, C, H, W), or tokens (N, T). Regression y (N,) or (N, O). Classes y (N,), or
    (N, K) with one for each of the last K time steps of an (N, T, F) x or of tokens.

    Raises:
        DataError: the file or an array is not as described; the message names it.
    """
    return _dataset("npz", read_arrays(path), task, normalize, tokens, (train_size, val_size, test_size), seed)


def dataset(
    x_train: Any,
    y_train: Any,
    x_test: Any = None,
    y_test: Any = None,
    *,
    name: str = "arrays",
    task: TaskOption = "auto",
    normalize: Normalize = True,
    tokens: Flag = False,
    train_size: int | None = None,
    val_size: int = 0,
    test_size: int | None = None,
    seed: int = 0,
) -> Dataset:
    """A data set from arrays (numpy, torch tensors or lists); the options are those of ``data: npz``.

    Without a test part, ``test_size`` examples (a fifth if not given) are held out of the training part,
    stratified by class.

    Shapes: x (N, F), (N, T, F), (N, C, H, W), or tokens (N, T). Regression y (N,) or (N, O). Classes y (N,), or
    (N, K) with one for each of the last K time steps.

    Raises:
        DataError: an array is not as described; the message names it.

    >>> import numpy as np
    >>> x = np.linspace(0, 1, 40).reshape(20, 2)
    >>> data = dataset(x, x.sum(axis=1))
    >>> data.task, data.input_shape, len(data.train.x), len(data.test.x)
    ('regression', (2,), 16, 4)
    """
    if (x_test is None) != (y_test is None):
        raise DataError("x_test and y_test go together: give both or neither")
    given = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    for key in ("x_train", "y_train"):
        if given[key] is None:
            raise DataError(f"{key} is None, expected an array")
    arrays = {key: numeric(key, _as_array(key, value)) for key, value in given.items() if value is not None}
    for key, array in arrays.items():  # before anything is cut, so that places are those of what was given
        check_finite(key, array)
    if x_test is None:
        arrays, test_size = _hold_out(arrays, task, test_size, seed), None
    return _dataset(name, arrays, task, normalize, tokens, (train_size, val_size, test_size), seed)


def _as_array(name: str, value: Any) -> Array:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return np.asarray(value.float() if value.dtype == torch.bfloat16 else value)
    try:
        return np.asarray(value)
    except ValueError:
        raise DataError(f"{name} is no array: its rows differ in shape") from None


def _hold_out(arrays: Mapping[str, Array], task: TaskOption, test_size: int | None, seed: int) -> dict[str, Array]:
    """The four arrays, cut from x_train and y_train."""
    x, y = arrays["x_train"], arrays["y_train"]
    if not (x.ndim and y.ndim) or len(x) != len(y):
        raise DataError(f"x_train has shape {x.shape} and y_train {y.shape}, expected as many examples")
    size = max(1, round(len(x) * HELD_OUT)) if test_size is None else test_size
    require("test_size", size, len(x) - 1, "arrays, x_train")
    by_class = y.ndim == 1 and task != "regression" and _task_of(y) == "classification"
    strata = np.unique(y, return_inverse=True)[1] if by_class else np.zeros(len(y), dtype=np.int64)
    test, train = stratified(strata, (size, len(x) - size), generator("arrays", seed, "held out"))
    return dict(zip(NAMES, (x[train], y[train], x[test], y[test]), strict=True))


def _dataset(
    name: str,
    arrays: Mapping[str, Array],
    task: TaskOption,
    normalize: Normalize,
    tokens: bool,
    sizes: tuple[int | None, int, int | None],
    seed: int,
) -> Dataset:
    x_train, x_test = check_inputs(arrays, tokens=tokens)
    chosen: Task = _task_of(arrays["y_train"]) if task == "auto" else task
    targets = check_targets(arrays, chosen, tokens=tokens)
    train, val = _cut_training(targets, sizes[0], sizes[1], seed)
    test = _cut_test(targets, sizes[2], seed)
    x_parts = [x_train[train], x_train[val], x_test[test]]
    if normalize and not tokens:
        x_parts = list(standardize(*x_parts, per="feature" if normalize == "per_feature" else "all"))
    y_parts = [targets.train[train], targets.train[val], targets.test[test]]
    parts = [_part(x, y) for x, y in zip(x_parts, y_parts, strict=True)]
    return Dataset(
        name=name,
        task=chosen,
        train=parts[0],
        val=parts[1] if sizes[1] else None,
        test=parts[2],
        outputs=targets.outputs,
        target_steps=targets.steps,
        source="file",
        notes=_notes(x_train),
        vocabulary=1 + int(max(x_train.max(), x_test.max())) if tokens else 0,
    )


def _notes(x: Array) -> tuple[str, ...]:
    """Said aloud where the shape suggests another order of axes."""
    if x.ndim == 4 and x.shape[3] in (1, 3, 4) and x.shape[1] not in (1, 3, 4):
        first = f"x_train has images of shape {x.shape[1:]}, read as (channels, height, width)"
        return (f"{first}; if the channels are last, transpose it: x.transpose(0, 3, 1, 2)",)
    return ()


def _task_of(y: Array) -> Task:
    return "regression" if y.dtype.kind == "f" else "classification"


def _cut_training(targets: Targets, train_size: int | None, val_size: int, seed: int) -> list[Indices]:
    available = len(targets.train)
    if train_size is None and val_size >= available:
        raise DataError(f"npz: val_size = {val_size} leaves nothing of the {available} examples of x_train; lower it")
    train = available - val_size if train_size is None else train_size
    require("train_size + val_size", train + val_size, available, "npz, x_train")
    strata = _strata(targets, targets.train)
    val_index, train_index = stratified(strata, (val_size, train), generator("npz", seed, "split"))
    return [train_index, val_index]


def _cut_test(targets: Targets, test_size: int | None, seed: int) -> Indices:
    size = len(targets.test) if test_size is None else test_size
    require("test_size", size, len(targets.test), "npz, x_test")
    return stratified(_strata(targets, targets.test), (size,), generator("npz", seed, "test"))[0]


def _strata(targets: Targets, y: Array) -> Array:
    """The classes to split by; one stratum for regression and for a target per time step."""
    return y if y.dtype == np.int64 and not targets.steps else np.zeros(len(y), dtype=np.int64)


def _part(x: Array, y: Array) -> Part:
    return Part(torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(np.ascontiguousarray(y)))
