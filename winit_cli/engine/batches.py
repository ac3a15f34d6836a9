"""The order of the training examples. N examples, B batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from winit_cli.rng import generator


def batches(seed: int, examples: int, batch_size: int, start: int = 0) -> Iterator[Tensor]:
    """Endless batches of indices (B,) from the ``start``-th on: shuffled epochs without replacement, a short last
    batch dropped.

    They depend on the generator ``(seed, "order")`` alone, so all schemes of a seed see the same batches.
    """
    source = generator(seed, "order")
    epochs, left = divmod(start, examples // batch_size)
    for _ in range(epochs):
        torch.randperm(examples, generator=source)
    while True:
        order = torch.randperm(examples, generator=source)
        yield from torch.split(order[: examples - examples % batch_size], batch_size)[left:]
        left = 0
