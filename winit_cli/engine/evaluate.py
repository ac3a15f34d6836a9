"""Loss and accuracy of a model. S trials in a stack, B batch, N examples, C outputs, K target steps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from winit_cli.data.dataset import Part

EVALUATED_AT_ONCE = 1000


@dataclass(frozen=True)
class Scoring:
    """Loss and accuracy of outputs and targets, both means over the batch."""

    loss: Callable[[Tensor, Tensor], Tensor]
    accuracy: Callable[[Tensor, Tensor], Tensor]


def accuracy_of(out: Tensor, y: Tensor) -> Tensor:
    """Share of targets whose class has the largest logit, in double precision: 0.937 and not 0.93699998."""
    return (out.argmax(dim=-1) == y).double().mean()


def stacked_accuracy(out: Tensor, y: Tensor) -> Tensor:
    """The same for each of S trials, of (S, B, …, C) and (S, B, …): (S,)."""
    return (out.argmax(dim=-1) == y).flatten(1).double().mean(1)


def no_accuracy(out: Tensor, y: Tensor) -> Tensor:
    """NaN, for regression and for outputs that are no logits."""
    return torch.full((), float("nan"), dtype=torch.float64, device=out.device)


def autocast(precision: str, device: str) -> contextlib.AbstractContextManager[object]:
    """Mixed precision for ``bf16``; the other precisions need no context."""
    if precision == "bf16":
        return torch.autocast(device, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def evaluate(model: nn.Module, part: Part, scoring: Scoring, precision: str = "fp32") -> tuple[Tensor, Tensor]:
    """Loss and accuracy over a whole part in evaluation mode, as 0-d double tensors."""
    total = torch.zeros(2, dtype=torch.float64, device=part.x.device)
    was_training = model.training
    model.eval()
    with torch.no_grad(), autocast(precision, part.x.device.type):
        for x, y in zip(torch.split(part.x, EVALUATED_AT_ONCE), torch.split(part.y, EVALUATED_AT_ONCE), strict=True):
            x, y = x.clone(), y.clone()  # a user's code may change what it is given in place
            out = model(x)
            total += len(x) * torch.stack([scoring.loss(out, y).double(), scoring.accuracy(out, y)])
    model.train(was_training)
    loss, right = total / len(part.x)
    return loss, right
