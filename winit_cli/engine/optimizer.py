"""Optimizers and learning-rate schedules, all from torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from winit_cli.config import Train
from winit_cli.engine.flat import Flat


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


class StackOptimizer:
    """Torch's optimizers over the parameters of a stack: one for each part of it that has one learning rate.

    P numbers per trial.
    """

    def __init__(self, flat: Flat, train: Train, rates: Sequence[float]) -> None:
        self.flat, self.train = flat, train
        changes = [place for place in range(1, len(rates)) if rates[place] != rates[place - 1]]
        self._parts: list[tuple[float, slice, torch.optim.Optimizer]] = []
        for start, end in pairwise([0, *changes, len(rates)]):
            tensors = [flat.values] if not changes else [block[start:end] for block in flat.blocks(flat.values)]
            grads = [flat.grads] if not changes else [block[start:end] for block in flat.blocks(flat.grads)]
            for tensor, grad in zip(tensors, grads, strict=True):
                tensor.grad = grad
            optimizer = make_optimizer(tensors, train, rates[start], fused=True)
            self._parts.append((rates[start], slice(start, end), optimizer))

    def step(self, step: int) -> None:
        """Update ``step`` (0-based) of all trials."""
        factor = rate_factor(step, self.train)
        for rate, _, optimizer in self._parts:
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.step()

    def forget(self, place: int) -> None:
        """Zero what is kept of the trial at a place."""
        for _, trials, optimizer in self._parts:
            if trials.start <= place < trials.stop:
                for kept in optimizer.state.values():
                    for value in (value for value in kept.values() if value is not None and value.dim()):
                        for block in [value] if len(self._parts) > 1 else self.flat.blocks(value):
                            block[place - trials.start] = 0

    def state(self) -> dict[str, Tensor]:
        """What the optimizers keep: vectors like the parameters, and the number of updates, which all trials share."""
        found: dict[str, Tensor] = {}
        for _, trials, optimizer in self._parts:
            for index, tensor in enumerate(optimizer.param_groups[0]["params"]):
                kept = {key: value for key, value in optimizer.state[tensor].items() if value is not None}
                for key, value in kept.items():  # SGD notes the absence of a momentum buffer as None
                    if value.dim() == 0 or len(self._parts) == 1:
                        found[key] = value
                    else:
                        vector = found.setdefault(key, torch.zeros_like(self.flat.values))
                        self.flat.blocks(vector)[index][trials] = value
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a ``state``."""
        for _, trials, optimizer in self._parts:
            places = range(len(optimizer.param_groups[0]["params"]) if state else 0)
            own = {index: {key: self._own(value, index, trials) for key, value in state.items()} for index in places}
            optimizer.load_state_dict({"state": own, "param_groups": optimizer.state_dict()["param_groups"]})

    def _own(self, value: Tensor, index: int, trials: slice) -> Tensor:
        if value.dim() == 0 or len(self._parts) == 1:
            return value.clone()
        return self.flat.blocks(value)[index][trials].clone()
