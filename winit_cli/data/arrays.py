"""Bring your own arrays: one .npz file with x_train, y_train, x_test and y_test."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from winit_cli.data.arrays_checks import Array, Targets, check_inputs, check_targets
from winit_cli.data.arrays_file import read_arrays
from winit_cli.data.dataset import Dataset, Part, Task
from winit_cli.data.split import Indices, require, stratified
from winit_cli.data.standardize import standardize
from winit_cli.errors import DataError
from winit_cli.rng import generator
from winit_cli.tables import Flag, Int, NonNegativeInt, PositiveInt


def npz(
    *,
    path: str,
    task: Literal["auto", "classification", "regression"] = "auto",
    normalize: Flag | Literal["per_feature"] = True,
    train_size: PositiveInt | None = None,
    val_size: NonNegativeInt = 0,
    test_size: PositiveInt | None = None,
    seed: Int = 0,
) -> Dataset:
    """The arrays of a file, all of them or as many as the sizes say, in shuffled order.

    Float y means regression, integer or boolean y classification, unless ``task`` says otherwise.
    ``normalize`` true standardizes x by one mean and std of the training part, ``per_feature`` by one
    per channel or per entry of the last axis. The validation part is cut from x_train.

    Shapes: x (N, F), (N, T, F) or (N, C, H, W). Regression y (N,) or (N, O). Classes y (N,), or (N, K)
    with one for each of the last K time steps of an (N, T, F) x.

    Raises:
        DataError: the file or an array is not as described; the message names it.
    """
    arrays = read_arrays(path)
    x_train, x_test = check_inputs(arrays)
    chosen: Task = _task_of(arrays["y_train"]) if task == "auto" else task
    targets = check_targets(arrays, chosen)
    train, val = _cut_training(targets, train_size, val_size, seed)
    test = _cut_test(targets, test_size, seed)
    x_parts = [x_train[train], x_train[val], x_test[test]]
    if normalize:
        x_parts = list(standardize(*x_parts, per="feature" if normalize == "per_feature" else "all"))
    y_parts = [targets.train[train], targets.train[val], targets.test[test]]
    parts = [_part(x, y) for x, y in zip(x_parts, y_parts, strict=True)]
    return Dataset(
        name="npz",
        task=chosen,
        train=parts[0],
        val=parts[1] if val_size else None,
        test=parts[2],
        outputs=targets.outputs,
        target_steps=targets.steps,
        source="file",
    )


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
