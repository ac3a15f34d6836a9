"""The order of the training examples. B batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from winit_cli.rng import generator


def epochs(seed: int, examples: int, batch_size: int, start: int = 0) -> Iterator[Tensor]:
    """Endless epochs of indices (batches, B) from the ``start``-th batch on: shuffled without replacement, a short
    last batch dropped, the first epoch without what comes before ``start``.

    They depend on the generator ``(seed, "order")`` alone, so all schemes of a seed see the same batches.
    """
    source = generator(seed, "order")
    passed, left = divmod(start, examples // batch_size)
    for _ in range(passed):
        torch.randperm(examples, generator=source)
    while True:
        order = torch.randperm(examples, generator=source)
        yield order[: examples - examples % batch_size].view(-1, batch_size)[left:]
        left = 0


def batches(seed: int, examples: int, batch_size: int, start: int = 0) -> Iterator[Tensor]:
    """The batches (B,) of all ``epochs``, one by one."""
    for epoch in epochs(seed, examples, batch_size, start):
        yield from epoch
