"""Cut one pool of examples into parts, by class and by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from winit_cli.errors import DataError

Labels = NDArray[np.int64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Sizes:
    """How many examples each part gets; ``val`` may be 0."""

    train: int
    val: int
    test: int


def stratified(labels: Labels, sizes: Sequence[int], generator: torch.Generator) -> list[Indices]:
    """Disjoint parts of exactly ``sizes``, each with the pool's class shares, in shuffled order.

    A part's examples per class are rounded by largest remainder. A part depends on the sizes before
    it and not on those after it, so callers put first what should stay when the others change.

    Shapes: labels (N,), sum of sizes at most N -> one index array per size.
    """
    queues = [_shuffled(np.flatnonzero(labels == label), generator) for label in np.unique(labels)]
    parts = []
    for size in sizes:
        counts = _largest_remainder(size, np.array([len(queue) for queue in queues]))
        taken = np.concatenate([queue[:count] for queue, count in zip(queues, counts, strict=True)])
        queues = [queue[count:] for queue, count in zip(queues, counts, strict=True)]
        parts.append(_shuffled(taken, generator))
    return parts


def _largest_remainder(size: int, available: NDArray[np.int64]) -> NDArray[np.int64]:
    """``size`` shared out in proportion to ``available``, never more than there is of a class."""
    total = max(int(available.sum()), 1)
    counts: NDArray[np.int64] = size * available // total
    remainders = size * available % total
    most = np.argsort(-remainders, kind="stable")[: size - int(counts.sum())]
    counts[most] += 1
    return counts


def _shuffled(indices: Indices, generator: torch.Generator) -> Indices:
    order: Indices = torch.randperm(len(indices), generator=generator).numpy()
    return indices[order]


def require(asked: str, size: int, available: int, where: str) -> None:
    """Refuse to take more examples than there are.

    Raises:
        DataError: ``size`` exceeds ``available``; the message says the maximum.
    """
    if size > available:
        raise DataError(f"{where}: {asked} = {size}, but there are at most {available} examples; lower it")
