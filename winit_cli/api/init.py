"""``winit.init``: fill the parameters of any module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from winit_cli.config.document import Document
from winit_cli.config.entries import EntryReader
from winit_cli.config.faults import Faults
from winit_cli.errors import UsageError
from winit_cli.losses import LOSSES, default_loss
from winit_cli.models import materialize
from winit_cli.rng import DrawFrom, forked, generator
from winit_cli.schemes.apply import initialize
from winit_cli.schemes.audit import InitRecord, audit
from winit_cli.schemes.fitting import Examples, LossFunction
from winit_cli.schemes.recipe import Recipe
from winit_cli.tables import find


def init(
    module: nn.Module,
    scheme: str | Mapping[str, Any],
    seed: int = 0,
    *,
    batch: Tensor | tuple[Tensor, Tensor] | None = None,
    loss: str | LossFunction | None = None,
    activation: str | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Fill the parameters of a module in place and return what was done to each, as in ``init.csv``.

    ``scheme`` is a name (``winit.schemes()``) or an entry as in the YAML, ``{"rules": [...], "others": ...}``.
    ``options`` are the scheme's own and ``bias``, ``others``, ``fallback``. Each parameter is drawn from a generator
    that depends on ``seed`` and its name alone; no global generator is read or changed. Frozen parameters keep their
    values, tied ones stay tied, and norm layers get their own reset. ``batch``, inputs x (B, …) or (x, targets), is
    what schemes like ``lsuv`` look at, and gives lazy modules their shapes by one forward pass.
    ``loss(output, targets)`` is for schemes that look at gradients: a function or a name, by default cross-entropy for
    whole-number targets, else the mean square error. ``activation`` is what ``gain="auto"`` means.

    Raises:
        ConfigError: unknown names or options, a parameter that is not covered or cannot be filled.
        UsageError: a lazy module or a scheme that looks at data without a batch, or a parametrization that takes no
            given weight.

    >>> from torch import nn
    >>> module = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> table = init(module, "constant", val=0.5)
    >>> table[["param", "scheme", "mean"]]
          param    scheme  mean
    0  0.weight  constant   0.5
    1    0.bias     zeros   0.0
    2  2.weight  constant   0.5
    3    2.bias     zeros   0.0
    """
    if not isinstance(module, nn.Module):
        raise UsageError(f"winit.init fills an nn.Module, got {type(module).__name__}")
    recipe = _recipe(scheme, options, activation)
    examples = None if batch is None else _examples(batch, loss)
    if examples is not None:
        source = generator(seed, "build")
        with forked(seed, "build"), DrawFrom(lambda filled: source):
            materialize(module, examples.x)
    with torch.no_grad():
        records = audit(initialize(module, recipe, seed, examples))
    return pd.DataFrame([asdict(record) for record in records], columns=[field.name for field in fields(InitRecord)])


def _examples(batch: Tensor | tuple[Tensor, Tensor], loss: str | LossFunction | None) -> Examples:
    x, y = batch if isinstance(batch, tuple) else (batch, None)
    if y is None:
        return Examples(x)
    if callable(loss):
        return Examples(x, y, loss)
    name = loss or default_loss("regression" if y.is_floating_point() else "classification")
    return Examples(x, y, find(LOSSES, name, "loss").function)


def _recipe(scheme: str | Mapping[str, Any], options: Mapping[str, Any], activation: str | None) -> Recipe:
    raw = {"scheme": scheme, **options} if isinstance(scheme, str) else {**scheme, **options}
    faults = Faults(Document({}, "winit.init"))
    entry = EntryReader(faults, activation).entry({"label": "init", **raw}, ())
    faults.raise_any()
    assert entry is not None
    return entry.recipe
