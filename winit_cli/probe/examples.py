"""The examples on which a probe looks at a network."""

from __future__ import annotations

from itertools import islice

import torch

from winit_cli.data.dataset import Part
from winit_cli.engine.batches import batches
from winit_cli.widths import EXAMPLES


def watched_examples(train: Part, seed: int, batch_size: int) -> Part:
    """The examples of the first batches of a trial, up to 256."""
    count = min(EXAMPLES, len(train.x) // batch_size * batch_size)
    order = batches(seed, len(train.x), batch_size)
    index = torch.cat(list(islice(order, -(-count // batch_size))))[:count]
    return Part(train.x[index], train.y[index])
