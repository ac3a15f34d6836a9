"""One step of a user's own model or loss before any training, so that its faults come first and all trials can run.

B batch, C classes, K target steps, O target columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from winit_cli.data.dataset import Dataset
from winit_cli.errors import UsageError, brief
from winit_cli.foreign import blaming
from winit_cli.losses import Loss
from winit_cli.models import Model, Task, construct
from winit_cli.rng import forked
from winit_cli.schemes.slots import Slot, slots

EVALUATED = 3  # examples, another number than in a batch


@dataclass(frozen=True)
class Rehearsal:
    """The parameters of the model, the shape of its output for one example, and what is to be said aloud."""

    slots: list[Slot]
    output_shape: tuple[int, ...]
    notes: tuple[str, ...] = ()


def rehearse(
    model: Model, options: Mapping[str, Any], task: Task, data: Dataset, loss: Loss, batch_size: int
) -> Rehearsal:
    """Build the model, train on one batch without an update, and evaluate a few examples.

    Raises:
        UsageError: it raises an error, or its output or loss is not what training needs.
    """
    x, y = data.train.x[:batch_size].clone(), data.train.y[:batch_size].clone()
    built, again = (construct(model, task, options, seed=0, example=x) for _ in range(2))
    parameters = slots(built)
    for slot in parameters:
        if slot.parameter.is_complex() or slot.parameter.is_meta:
            kind = "complex numbers" if slot.parameter.is_complex() else "no memory (it is on the meta device)"
            raise UsageError(f"{slot.name} of {model.name} has {kind}, expected real numbers on the CPU")
    if all(slot.frozen for slot in parameters):
        raise UsageError(f"{model.name} has no parameter that trains")
    notes = _unlike(parameters, slots(again), model.name)
    with forked("rehearsal"):
        out = _forward(built, model, x)
        _check_output(out, y, data, loss, model.name)
        _check_loss(out, y, loss, batch_size)
        with torch.no_grad():
            _forward(built.eval(), model, data.train.x[:EVALUATED].clone())
    built.zero_grad()  # the slots keep the module, which need not keep its gradients
    return Rehearsal(parameters, tuple(out.shape[1:]), notes)


def _unlike(first: list[Slot], second: list[Slot], name: str) -> tuple[str, ...]:
    """A note on parameters that one seed does not make the same twice."""
    pairs = zip(first, second, strict=False)
    unlike = [a.name for a, b in pairs if not torch.equal(a.parameter.nan_to_num(), b.parameter.nan_to_num())]
    if not unlike:
        return ()
    names = brief(", ".join(unlike), 200)
    return (f"{name} does not make the same {names} from one seed: as_built will not replay (numpy's default_rng()?)",)


def _forward(built: nn.Module, model: Model, x: Tensor) -> Tensor:
    with blaming(f"forward of {model.name}, called with one tensor of shape {tuple(x.shape)},"):
        out = built(x)
    if not isinstance(out, Tensor):
        raise UsageError(
            f"forward of {model.name} returned {_kind(out)}, expected one tensor; wrap it in a module that picks the "
            "one to train on"
        )
    return out


def _kind(out: object) -> str:
    if isinstance(out, Mapping):
        return f"a mapping with the keys {', '.join(map(str, out))}"
    return f"a {type(out).__name__}"


def _check_output(out: Tensor, y: Tensor, data: Dataset, loss: Loss, name: str) -> None:
    if loss.source:  # a loss of the user's own takes what it takes
        if out.dim() == 0 or len(out) != len(y):
            raise UsageError(f"{name} gives {tuple(out.shape)} for {len(y)} examples, expected one row for each")
        return
    shape, wanted = tuple(out.shape), expected_output(data, len(y))
    if shape != wanted and not (data.task == "regression" and wanted[1:] == (1,) and shape == wanted[:1]):
        what = "a number for each target column" if data.task == "regression" else "a logit for each class"
        raise UsageError(
            f"{name} gives {shape} for a batch of {len(y)}, expected {wanted}: {what}; a parameter named output_size "
            "or num_classes is given the number; another loss (--loss FILE.py:NAME) may take other outputs"
        )


def expected_output(data: Dataset, batch: int) -> tuple[int, ...]:
    """(B, C), (B, K, C) with a target at K steps, or (B, O)."""
    return (batch, data.target_steps, data.outputs) if data.target_steps else (batch, data.outputs)


def _check_loss(out: Tensor, y: Tensor, loss: Loss, batch: int) -> None:
    given = f"given outputs {tuple(out.shape)} and targets {tuple(y.shape)},"
    with blaming(f"loss {loss.name}, {given}"):
        value = loss.function(out, y)
    if not isinstance(value, Tensor) or value.dim() != 0:
        kind = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise UsageError(f"loss {loss.name}, {given} returned {kind}, expected a scalar: the mean over the batch")
    if not value.requires_grad:
        raise UsageError(f"loss {loss.name}, {given} does not depend on the parameters: there is nothing to train")
    with blaming("the backward pass"):
        value.backward()  # type: ignore[no-untyped-call]
