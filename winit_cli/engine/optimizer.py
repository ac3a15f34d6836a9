"""Optimizers and learning-rate schedules, all from torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

import torch
from torch import Tensor

from winit_cli.config import Train
from winit_cli.engine.flat import Flat


def make_optimizer(
    parameters: Sequence[Tensor], train: Train, lr: float, factors: Sequence[float], *, of_stack: bool = False
) -> torch.optim.Optimizer:
    """The optimizer of ``torch.optim`` that a config names.

    Neighbours among the parameters with the same factor of the learning rate are one group, which remembers it.
    That ``of_stack`` is fused into one kernel where torch has one, and on a GPU can be captured in a graph: its
    learning rates lie there, too.
    """
    pairs = groupby(zip(parameters, factors, strict=True), key=lambda pair: pair[1])
    groups = [{"params": [p for p, _ in same], "factor": factor, "lr": lr * factor} for factor, same in pairs]
    if of_stack and parameters[0].is_cuda:
        device = parameters[0].device
        groups = [group | {"lr": torch.tensor(group["lr"], dtype=torch.float32, device=device)} for group in groups]
    return _optimizer(groups, train, lr, of_stack, of_stack and parameters[0].is_cuda)


def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Every group's learning rate, times its factor."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr * group["factor"])
        else:
            group["lr"] = lr * group["factor"]


def _optimizer(
    parameters: list[dict[str, Any]], train: Train, lr: float, fused: bool, capturable: bool
) -> torch.optim.Optimizer:
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
        return torch.optim.RMSprop(parameters, lr, momentum=momentum, weight_decay=decay, capturable=capturable)
    kind = torch.optim.Adam if train.optimizer == "adam" else torch.optim.AdamW
    return kind(parameters, lr, betas=betas, weight_decay=decay, fused=one_kernel, capturable=capturable)


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
    """Torch's optimizers over the parameters of a stack: one for each part of it with the same learning rates.

    ``rates`` has the learning rate of each trial and the factors of its parameters. P numbers per trial.
    """

    def __init__(self, flat: Flat, train: Train, rates: Sequence[tuple[float, Sequence[float]]]) -> None:
        self.flat, self.train = flat, train
        changes = [place for place in range(1, len(rates)) if rates[place] != rates[place - 1]]
        self._is_whole = not changes and set(rates[0][1]) == {1.0}  # so that one vector has one learning rate
        self._parts: list[tuple[float, slice, torch.optim.Optimizer]] = []
        for start, end in pairwise([0, *changes, len(rates)]):
            lr, factors = rates[start]
            tensors = [flat.values] if self._is_whole else [block[start:end] for block in flat.blocks(flat.values)]
            grads = [flat.grads] if self._is_whole else [block[start:end] for block in flat.blocks(flat.grads)]
            for tensor, grad in zip(tensors, grads, strict=True):
                tensor.grad = grad
            optimizer = make_optimizer(tensors, train, lr, [1.0] if self._is_whole else factors, of_stack=True)
            self._parts.append((lr, slice(start, end), optimizer))
        self._factor = 1.0

    def set_rates(self, step: int) -> None:
        """The learning rates of update ``step`` (0-based)."""
        factor = rate_factor(step, self.train)
        if factor != self._factor:
            self._factor = factor
            for rate, _, optimizer in self._parts:
                set_rate(optimizer, rate * factor)

    def step(self) -> None:
        """An update of all trials."""
        for _, _, optimizer in self._parts:
            optimizer.step()

    def forget(self, place: int) -> None:
        """Zero what is kept of the trial at a place."""
        for _, trials, optimizer in self._parts:
            if trials.start <= place < trials.stop:
                for kept in optimizer.state.values():
                    for value in (value for value in kept.values() if value is not None and value.dim()):
                        for block in self.flat.blocks(value) if self._is_whole else [value]:
                            block[place - trials.start] = 0

    def state(self) -> dict[str, Tensor]:
        """What the optimizers keep: vectors like the parameters, and the number of updates, which all trials share."""
        found: dict[str, Tensor] = {}
        for _, trials, optimizer in self._parts:
            for index, tensor in enumerate(_parameters(optimizer)):
                kept = {key: value for key, value in optimizer.state[tensor].items() if value is not None}
                for key, value in kept.items():  # SGD notes the absence of a momentum buffer as None
                    if value.dim() == 0 or self._is_whole:
                        found[key] = value
                    else:
                        vector = found.setdefault(key, torch.zeros_like(self.flat.values))
                        self.flat.blocks(vector)[index][trials] = value
        return found

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a ``state``."""
        for _, trials, optimizer in self._parts:
            places = range(len(_parameters(optimizer)) if state else 0)
            own = {index: {key: self._own(value, index, trials) for key, value in state.items()} for index in places}
            optimizer.load_state_dict({"state": own, "param_groups": optimizer.state_dict()["param_groups"]})

    def _own(self, value: Tensor, index: int, trials: slice) -> Tensor:
        if value.dim() == 0 or self._is_whole:
            return value.clone()
        return self.flat.blocks(value)[index][trials].clone()


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [tensor for group in optimizer.param_groups for tensor in group["params"]]
