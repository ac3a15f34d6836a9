"""Objects in memory as rows of the tables: a class, arrays, a loss function given from Python."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from winit_cli.data import DATASETS, DatasetRow
from winit_cli.data.arrays import dataset
from winit_cli.data.checked import checked
from winit_cli.data.dataset import Dataset
from winit_cli.errors import DataError
from winit_cli.losses import LOSSES, Loss
from winit_cli.models import MODELS
from winit_cli.models.adapt import adapt


def enter_model(model: Any) -> Any:
    """``model:`` of a config for a name, a mapping with a name, or an object that builds one."""
    if isinstance(model, Mapping):
        return {**model, "name": enter_model(model["name"])} if "name" in model else dict(model)
    if isinstance(model, str):
        return model
    name = _name(model)
    MODELS[name] = adapt(name, model, _nonce())
    return name


def enter_loss(loss: Any) -> str | None:
    """``train.loss`` of a config for a name or a function of outputs and targets."""
    if loss is None or isinstance(loss, str):
        return loss
    name = _name(loss)
    LOSSES[name] = Loss(name, loss() if isinstance(loss, type) else loss, source=_nonce())
    return name


def enter_data(data: Any) -> Any:
    """``data:`` of a config for a name, a path, a mapping, arrays or a data set.

    Raises:
        DataError: it is none of these, or the arrays cannot be used.
    """
    if isinstance(data, Path) or (isinstance(data, str) and data.endswith(".npz")):
        return {"name": "npz", "path": str(data)}
    if isinstance(data, Mapping) and "x_train" in data:
        data = dataset(**data)
    if isinstance(data, str | Mapping):
        return data
    if isinstance(data, tuple | list) and len(data) in (2, 4):
        data = dataset(*data)
    if not isinstance(data, Dataset):
        raise DataError(
            f"data is {type(data).__name__}, expected a name, a path, (x, y), (x_train, y_train, x_test, y_test) or "
            "winit.dataset(…)"
        )
    made = replace(checked(data, "data"), name=f"python:{data.name}")
    DATASETS[made.name] = DatasetRow(made.name, lambda: made)
    return made.name


def _name(thing: Any) -> str:
    return f"python:{getattr(thing, '__name__', type(thing).__name__)}"


def _nonce() -> str:
    """In place of a source hash: what an object in memory does is in no file, so its results are never shared."""
    return uuid.uuid4().hex
