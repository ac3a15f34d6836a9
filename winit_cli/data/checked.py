"""A data set that a plug-in made, checked as winit's own are."""

from __future__ import annotations

import torch

from winit_cli.data.dataset import Dataset, Part
from winit_cli.errors import DataError


def checked(data: object, name: str) -> Dataset:
    """The data set, if training can use it as it is.

    Raises:
        DataError: it is none, or a part has another type, shape or range than it says; the message names it.
    """
    if not isinstance(data, Dataset):
        raise DataError(f"{name} returned {type(data).__name__}, expected winit.dataset(x_train, y_train, …)")
    if data.task not in ("classification", "regression"):
        raise DataError(f"{name}: task is {data.task!r}, expected classification or regression")
    if type(data.outputs) is not int or data.train.x.dim() < 2:
        shape = tuple(data.train.x.shape)
        raise DataError(f"{name}: x of shape {shape} and outputs {data.outputs!r}, expected (N, …) and a whole number")
    if data.outputs < (2 if data.task == "classification" else 1) or 0 in data.input_shape:
        raise DataError(f"{name}: inputs {data.input_shape} and {data.outputs} outputs leave nothing to learn")
    parts = {"train": data.train, "test": data.test} | ({"val": data.val} if data.val is not None else {})
    for which, part in parts.items():
        _check_part(part, f"{name}, {which} part", data)
    return data


def _check_part(part: Part, where: str, data: Dataset) -> None:
    x, y = part.x, part.y
    wanted = torch.int64 if data.vocabulary else torch.float32
    if x.dtype != wanted or tuple(x.shape[1:]) != data.input_shape:
        raise DataError(
            f"{where}: x is {x.dtype} of shape {tuple(x.shape)}, expected {wanted} (N, {data.input_shape}); use "
            "winit.dataset(…), which converts"
        )
    if len(x) == 0 or len(x) != len(y):
        raise DataError(f"{where}: x has {len(x)} examples and y {len(y)}, expected as many and at least one")
    if not torch.isfinite(x).all() or not torch.isfinite(y).all():
        raise DataError(f"{where}: NaN or infinite values; expected finite ones")
    if data.vocabulary and not 0 <= int(x.min()) <= int(x.max()) < data.vocabulary:
        raise DataError(f"{where}: x has tokens {int(x.min())} to {int(x.max())}, expected 0 to {data.vocabulary - 1}")
    if data.task == "classification":
        steps = (data.target_steps,) if data.target_steps else ()
        if tuple(y.shape[1:]) != steps or data.target_steps > x.shape[1]:
            raise DataError(f"{where}: y has shape {tuple(y.shape)}, expected (N, *{steps}) as target_steps says")
        if y.dtype != torch.int64 or int(y.min()) < 0 or int(y.max()) >= data.outputs:
            raise DataError(f"{where}: y is {y.dtype}, expected int64 classes from 0 to {data.outputs - 1}")
    elif y.dtype != torch.float32 or tuple(y.shape) != (len(x), data.outputs):
        shape = tuple(y.shape)
        raise DataError(f"{where}: y is {y.dtype} of shape {shape}, expected float32 ({len(x)}, {data.outputs})")
