"""``winit.compare``: train a network from several schemes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from winit_cli.api.progress import reporting
from winit_cli.api.result import Comparison
from winit_cli.config import Document, resolve
from winit_cli.environment import resolve_device
from winit_cli.errors import UsageError, brief
from winit_cli.plan import make_plan
from winit_cli.plugins import is_code, plugged
from winit_cli.plugins.objects import enter_data, enter_loss, enter_model
from winit_cli.runner import How, run_plan
from winit_cli.sizes import parse_size
from winit_cli.store.frames import read_run


def compare(
    model: Any = "mlp",
    data: Any = "mnist",
    schemes: Sequence[str | Mapping[str, Any]] = ("pytorch_default", "kaiming_normal"),
    *,
    seeds: int | Sequence[int] = 10,
    lr: float | Sequence[float] | None = None,
    steps: int | None = None,
    loss: Any = None,
    device: str = "auto",
    memory: str | int | None = None,
    plugins: Sequence[str | Path] = (),
    results: str | Path | None = None,
    fresh: bool = False,
    progress: bool = True,
    **config: Any,
) -> Comparison:
    """Train a network from every scheme with every seed, and return the tables.

    ``model`` is a name, ``"net.py:Net"``, a mapping ``{"name": …, option: value}``, or a class, function or module of
    yours; parameters with names such as ``input_shape`` and ``num_classes`` get what the data has. ``data`` is a name,
    an ``.npz`` path, a mapping, ``(x, y)``, ``(x_train, y_train, x_test, y_test)`` or what ``winit.dataset`` returns.
    ``schemes`` are names or entries as in the YAML. ``loss`` is a name, ``"net.py:loss"`` or ``loss(out, y)``.
    ``memory`` is what all stacks that train at once may take: ``"8GiB"``, the default, or a number of bytes.
    ``config`` are other keys of the YAML: ``train={"optimizer": "adam"}``, ``vary``, ``measure``, ``baseline``.

    The run lies under ``results`` (``$WINIT_RESULTS``, or ``./results``) like that of a command, and trials are not
    trained twice, but for those of objects in memory: what these do is in no file that could be compared.

    Raises:
        ConfigError: unknown names, options or values; all faults at once.
        DataError: the data cannot be used as asked.
        UsageError: the model does not fit the data, a user's own code is at fault, or ``memory`` is no size.
        StorageError: the disk refuses; what was recorded before is kept.
        LockedError: another process is writing the same run.

    >>> import tempfile
    >>> import torch
    >>> from torch import nn
    >>> x = torch.linspace(-1, 1, 200)[:, None]
    >>> def net(in_features, output_size, hidden=8):
    ...     return nn.Sequential(nn.Linear(in_features, hidden), nn.Tanh(), nn.Linear(hidden, output_size))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = compare(net, (x, x**2), ["as_built", "zeros"], seeds=3, steps=20, results=folder, progress=False)
    >>> found.trials[["label", "seed", "status"]]
          label  seed status
    0  as_built     0     ok
    1  as_built     1     ok
    2  as_built     2     ok
    3     zeros     0     ok
    4     zeros     1     ok
    5     zeros     2     ok
    """
    budget = None if memory is None else parse_size(str(memory), "memory")
    named = model["name"] if isinstance(model, Mapping) else model
    files = [str(path) for path in plugins]
    with plugged(files, _code(named), _code(loss)):
        train = {"lr": _plain(lr), "steps": _plain(steps), "loss": enter_loss(loss), **config.pop("train", {})}
        given = {
            "name": "compare",
            "model": enter_model(model),
            "data": enter_data(data),
            "schemes": _checked_schemes(schemes),
            "seeds": _plain(np.asarray(seeds)),
            "train": {key: value for key, value in train.items() if value is not None},
            **config,
        }
        plan = make_plan(resolve(Document(given, "winit.compare")), resolve_device(device), download=True)
        folder = Path(results or os.environ.get("WINIT_RESULTS") or "results")
        with reporting(progress) as reporter:
            done = run_plan(plan, folder, reporter, How(fresh=fresh, memory=budget))
    if done.failures:
        warnings.warn(f"{len(done.failures)} trials failed, the first: {done.failures[0]}", stacklevel=2)
    return Comparison(read_run(done.directory))


def _checked_schemes(schemes: Any) -> list[Any]:
    given = [schemes] if isinstance(schemes, str | Mapping) else schemes
    if not isinstance(given, list | tuple) or not all(isinstance(entry, str | Mapping) for entry in given):
        raise UsageError(f"schemes is {brief(repr(schemes))}, expected a list of names or entries as in the YAML")
    return list(given)


def _plain(value: Any) -> Any:
    """Numbers of numpy as Python's, which a config holds."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _code(named: Any) -> str | None:
    return named if isinstance(named, str) and is_code(named) else None
