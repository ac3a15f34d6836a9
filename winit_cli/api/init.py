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
from winit_cli.errors import UsageError, brief
from winit_cli.losses import LOSSES
from winit_cli.models import materialize
from winit_cli.rng import DrawFrom, forked, generator
from winit_cli.schemes.apply import initialize
from winit_cli.schemes.audit import InitRecord, audit
from winit_cli.schemes.fitting import Examples, LossFunction
from winit_cli.schemes.recipe import Recipe
from winit_cli.tables import find
from winit_cli.tasks import default_loss


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
        UsageError: a lazy module or a scheme that looks at data without a batch, a batch or a loss of another kind, or
            a parametrization that takes no given weight.
        ForeignError: the module, the loss or a plug-in's scheme raised an error as a scheme looked at the batch.

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
    found = _loss(loss)
    examples = None if batch is None else _examples(batch, found)
    if examples is not None:
        source = generator(seed, "build")
        with forked(seed, "build"), DrawFrom(lambda filled: source):
            materialize(module, examples.x)
    with torch.no_grad():
        records = audit(initialize(module, recipe, seed, examples))
    return pd.DataFrame([asdict(record) for record in records], columns=[field.name for field in fields(InitRecord)])


def _examples(batch: object, loss: LossFunction | None) -> Examples:
    """Inputs, targets if there are any, and the loss that goes with them."""
    parts = batch if isinstance(batch, tuple) else (batch,)
    if len(parts) != (2 if isinstance(batch, tuple) else 1) or not all(isinstance(part, Tensor) for part in parts):
        kinds = ", ".join(type(part).__name__ for part in parts)
        given = f"a tuple of ({brief(kinds)})" if isinstance(batch, tuple) else f"a {kinds}"
        raise UsageError(f"batch is {given}, expected a tensor of inputs (B, …), or a tuple of inputs and targets")
    x, y = (*parts, None)[:2]
    shapes = " and targets of shape ".join(str(tuple(part.shape)) for part in parts)
    if x.dim() == 0 or len(x) == 0:
        raise UsageError(f"batch has inputs of shape {shapes}, expected (B, …) with one example or more")
    if y is None:
        return Examples(x)
    if y.dim() == 0 or len(y) != len(x):
        raise UsageError(
            f"batch has inputs of shape {shapes}, expected targets (B, …), one for each of {len(x)} inputs"
        )
    task = "regression" if y.is_floating_point() else "classification"
    return Examples(x, y, loss or LOSSES[default_loss(task)].function)


def _loss(loss: object) -> LossFunction | None:
    if loss is None or (callable(loss) and not isinstance(loss, type)):
        return loss
    if not isinstance(loss, str):
        names = ", ".join(LOSSES)
        raise UsageError(f"loss is {brief(repr(loss))}, expected a function of outputs and targets, or one of {names}")
    return find(LOSSES, loss, "loss").function


def _recipe(scheme: str | Mapping[str, Any], options: Mapping[str, Any], activation: str | None) -> Recipe:
    raw = {"scheme": scheme, **options} if isinstance(scheme, str) else {**scheme, **options}
    faults = Faults(Document({}, "winit.init"))
    entry = EntryReader(faults, activation).entry({"label": "init", **raw}, ())
    faults.raise_any()
    assert entry is not None
    return entry.recipe
