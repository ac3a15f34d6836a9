"""What every loader returns: a data set cut into parts, ready to train on.

Shape letters: N examples, C channels, H x W pixels, T time steps, F features, K scored steps,
O target columns.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

Task = Literal["classification", "regression"]
Source = Literal["packaged", "torchvision", "generated", "file"]

CONSTANT_LOSS_EXAMPLES = 5000


@dataclass(frozen=True)
class Part:
    """Examples and their targets.

    ``x`` is float32 of shape (N, *input_shape), or int64 where it holds tokens. ``y`` is int64 of shape (N,) or
    (N, K) for classification and float32 of shape (N, O) for regression.
    """

    x: Tensor
    y: Tensor

    def to(self, device: str) -> Part:
        """The same part on a device."""
        return Part(self.x.to(device), self.y.to(device))


@dataclass(frozen=True)
class Dataset:
    """A data set as training sees it.

    ``outputs`` is the number of classes, or of target columns. ``target_steps`` is 0 for one target
    per example and K where each of the last K time steps has one. ``fingerprint`` is the SHA-256 of
    what training sees, computed unless given. ``notes`` are to be said aloud. ``vocabulary`` is 0, or the number
    of tokens where ``x`` holds tokens.
    """

    name: str
    task: Task
    train: Part
    val: Part | None
    test: Part
    outputs: int
    target_steps: int = 0
    fingerprint: str = ""
    source: Source = "file"
    notes: tuple[str, ...] = ()
    vocabulary: int = 0

    def __post_init__(self) -> None:
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", _fingerprint(self))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example: (F,), (T, F) or (C, H, W)."""
        return tuple(self.train.x.shape[1:])

    def to(self, device: str) -> Dataset:
        """The same data on a device."""
        val = None if self.val is None else self.val.to(device)
        return replace(self, train=self.train.to(device), val=val, test=self.test.to(device))


@dataclass(frozen=True)
class DatasetRow:
    """A data set: its loader, one line about it, its other names, and how to fetch its files if that is needed.

    ``source`` is the SHA-256 of the code of a data set that is not winit's own.
    """

    name: str
    load: Callable[..., Dataset]
    summary: str = ""
    aliases: tuple[str, ...] = ()
    download: Callable[[], None] | None = None
    source: str = ""


def _fingerprint(data: Dataset) -> str:
    """SHA-256 over the task, the outputs and all arrays; names, source and notes are left out."""
    facts = [data.task, data.outputs, data.target_steps, *([data.vocabulary] if data.vocabulary else [])]
    digest = hashlib.sha256(json.dumps(facts).encode())
    for name, part in (("train", data.train), ("val", data.val), ("test", data.test)):
        for tensor in (part.x, part.y) if part else ():
            digest.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
            digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def constant_loss(dataset: Dataset) -> float:
    """Cross-entropy or mean squared error of the best constant predictor on the first 5,000 training examples.

    Classification: the entropy ``-sum p ln p`` of the class frequencies, in nats, over all scored
    steps. Regression: the mean squared deviation from each column's mean.
    """
    y = dataset.train.y[:CONSTANT_LOSS_EXAMPLES]
    if dataset.task == "regression":
        return float((y.double() - y.double().mean(dim=0)).square().mean())
    shares = torch.bincount(y.flatten()).double() / y.numel()
    return float(torch.special.entr(shares).sum())
