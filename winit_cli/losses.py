"""Loss functions: ``function(out, y)`` is the mean over a batch, a scalar.

B batch, C classes, K target steps, O target columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from winit_cli.foreign import blaming
from winit_cli.tables import table


@dataclass(frozen=True)
class Loss:
    """A loss function; ``task`` is the kind of data that it fits, or ``None`` for any.

    ``source`` is the SHA-256 of the code of a loss that is not winit's own.
    """

    name: str
    function: Callable[[Tensor, Tensor], Tensor]
    summary: str = ""
    task: str | None = None
    aliases: tuple[str, ...] = ()
    source: str = ""


def cross_entropy(out: Tensor, y: Tensor) -> Tensor:
    """Of logits (B, C) or (B, K, C) against classes (B,) or (B, K), in nats."""
    return F.cross_entropy(out.reshape(-1, out.shape[-1]), y.reshape(-1))


def mse(out: Tensor, y: Tensor) -> Tensor:
    """Mean squared error of (B, O), or (B,) where O is 1, against (B, O)."""
    return F.mse_loss(out.reshape(y.shape), y)


LOSSES: dict[str, Loss] = table(
    Loss("cross_entropy", cross_entropy, "cross-entropy of logits, in nats", "classification"),
    Loss("mse", mse, "mean squared error", "regression"),
)


def constant_loss_of(loss: Loss, y: Tensor, shape: tuple[int, ...]) -> float:
    """Loss of the best constant output of a given shape per example, found by L-BFGS from zeros.

    For a loss without a closed form; a local minimum where it has several. Targets y (N, …).
    """
    constant = torch.zeros(shape, requires_grad=True)
    search = torch.optim.LBFGS([constant], max_iter=100, line_search_fn="strong_wolfe")
    found: list[float] = []

    def evaluate() -> Tensor:
        search.zero_grad()
        value = loss.function(constant.expand(len(y), *shape), y.clone())
        value.backward()  # type: ignore[no-untyped-call]
        found.append(value.item())
        return value

    with blaming(f"loss {loss.name}, given a constant output,"):
        search.step(evaluate)  # type: ignore[no-untyped-call]
    return min((value for value in found if math.isfinite(value)), default=math.inf)


def default_loss(task: str) -> str:
    """The loss of a task's data where none is named."""
    return next(row.name for row in LOSSES.values() if row.task == task)
