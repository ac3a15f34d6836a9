"""Optimizers and learning-rate schedules, all from torch."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from winit_cli.config import Train


def make_optimizer(
    parameters: Iterable[Tensor], train: Train, lr: float, *, fused: bool = False
) -> torch.optim.Optimizer:
    """The optimizer of ``torch.optim`` that a config names; ``fused`` into one kernel where torch has one."""
    one_kernel = True if fused else None
    decay = train.weight_decay or 0.0
    betas = train.betas or (0.9, 0.999)
    momentum = train.momentum or 0.0
    if train.optimizer == "sgd":
        nesterov = train.nesterov or False
        return torch.optim.SGD(
            parameters, lr, momentum=momentum, weight_decay=decay, nesterov=nesterov, fused=one_kernel
        )
    if train.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, lr, momentum=momentum, weight_decay=decay)
    kind = torch.optim.Adam if train.optimizer == "adam" else torch.optim.AdamW
    return kind(parameters, lr, betas=betas, weight_decay=decay, fused=one_kernel)


def rate_factor(step: int, train: Train) -> float:
    """What the learning rate of update ``step`` (0-based) is multiplied with.

    ``(step + 1) / warmup`` during the warm-up; after it 1 (constant), ``1 - t`` (linear) or
    ``(1 + cos(pi t)) / 2`` (cosine; Loshchilov & Hutter 2017), t being the share of the rest that is done.
    """
    assert train.steps is not None
    if step < train.warmup:
        return (step + 1) / train.warmup
    done = (step - train.warmup) / max(1, train.steps - train.warmup)
    if train.schedule == "linear":
        return 1 - done
    return (1 + math.cos(math.pi * done)) / 2 if train.schedule == "cosine" else 1.0
