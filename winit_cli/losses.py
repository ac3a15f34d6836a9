"""Loss functions: ``function(out, y)`` is the mean over a batch, a scalar.

S trials in a stack, B batch, C classes, K target steps, O target columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from winit_cli.tables import table

FLAT, FAR = 1e-3, 1e4  # a minimum has at most this slope and lies nearer than that


@dataclass(frozen=True)
class Loss:
    """A loss function; ``task`` is the kind of data that it fits, or ``None`` for any.

    ``stacked(out, y)`` gives the mean of each of S trials, or is ``None``: such a loss trains one trial at a time.
    ``source`` is the SHA-256 of the code of a loss that is not winit's own.
    """

    name: str
    function: Callable[[Tensor, Tensor], Tensor]
    summary: str = ""
    task: str | None = None
    aliases: tuple[str, ...] = ()
    source: str = ""
    stacked: Callable[[Tensor, Tensor], Tensor] | None = None


def cross_entropy(out: Tensor, y: Tensor) -> Tensor:
    """Of logits (B, C) or (B, K, C) against classes (B,) or (B, K), in nats."""
    return F.cross_entropy(out.reshape(-1, out.shape[-1]), y.reshape(-1))


def binary_cross_entropy(out: Tensor, y: Tensor) -> Tensor:
    """A sigmoid for each class: the sum over the logits (B, C) or (B, K, C) of binary cross-entropies against classes
    (B,) or (B, K), in nats (Nielsen 2015, Neural networks and deep learning, chapter 3)."""
    return _binary(out, y).mean()


def mse(out: Tensor, y: Tensor) -> Tensor:
    """Mean squared error of (B, O), or (B,) where O is 1, against (B, O)."""
    return F.mse_loss(out.reshape(y.shape), y)


def stacked_cross_entropy(out: Tensor, y: Tensor) -> Tensor:
    """Of logits (S, B, C) or (S, B, K, C) against classes (S, B) or (S, B, K): (S,)."""
    each = F.cross_entropy(out.flatten(0, -2), y.flatten(), reduction="none")
    return each.reshape(len(out), -1).mean(1)


def stacked_binary_cross_entropy(out: Tensor, y: Tensor) -> Tensor:
    """Of logits (S, B, C) or (S, B, K, C) against classes (S, B) or (S, B, K): (S,)."""
    return _binary(out, y).flatten(1).mean(1)


def _binary(out: Tensor, y: Tensor) -> Tensor:
    targets = (y[..., None] == torch.arange(out.shape[-1], device=y.device)).to(out.dtype)
    return F.binary_cross_entropy_with_logits(out, targets, reduction="none").sum(-1)


def stacked_mse(out: Tensor, y: Tensor) -> Tensor:
    """Of (S, B, O), or (S, B) where O is 1, against (S, B, O): (S,)."""
    return F.mse_loss(out.reshape(y.shape), y, reduction="none").flatten(1).mean(1)


LOSSES: dict[str, Loss] = table(
    Loss(
        "cross_entropy",
        cross_entropy,
        "cross-entropy of logits, in nats",
        "classification",
        stacked=stacked_cross_entropy,
    ),
    Loss(
        "binary_cross_entropy",
        binary_cross_entropy,
        "a sigmoid for each class: the sum of binary cross-entropies of logits, in nats",
        "classification",
        stacked=stacked_binary_cross_entropy,
    ),
    Loss("mse", mse, "mean squared error", "regression", stacked=stacked_mse),
)


def constant_loss_of(loss: Loss, y: Tensor, shape: tuple[int, ...]) -> float | None:
    """Loss of the best constant output of a given shape per example, found by L-BFGS from zeros.

    ``None`` where that finds none: a loss that does not take every output, or that falls without end. Targets y (N, …).
    """
    constant = torch.zeros(shape, requires_grad=True)
    search = torch.optim.LBFGS([constant], max_iter=200, line_search_fn="strong_wolfe")

    def evaluate() -> Tensor:
        search.zero_grad()
        value = loss.function(constant.expand(len(y), *shape).clone(), y.clone())
        value.backward()  # type: ignore[no-untyped-call]
        return value

    try:
        search.step(evaluate)  # type: ignore[no-untyped-call]
        found = evaluate().item()
    except Exception:  # it has taken the outputs of the model, but need not take these
        return None
    slope = 0.0 if constant.grad is None else float(constant.grad.abs().max())
    is_minimum = math.isfinite(found) and slope < FLAT and float(constant.detach().abs().max()) < FAR
    return found if is_minimum else None
