"""Leave a module as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from winit_cli.rng import forked


@contextlib.contextmanager
def untouched(module: nn.Module, *key: str | int) -> Iterator[None]:
    """Run a module as it would train, but without dropout; draws of global generators start from ``key``.

    Afterwards its buffers, its modes and the generators are what they were. Gradients are nobody's business here:
    they are asked for with ``torch.autograd.grad``, which leaves ``.grad`` alone. Norm layers that average over
    batches remember the last one alone, which ``holding_statistics`` then uses.
    """
    modes = {inner: inner.training for inner in module.modules()}
    buffers = [
        (inner, name, buffer) for inner in modes for name, buffer in inner._buffers.items() if buffer is not None
    ]
    contents = [buffer.detach().clone() for _, _, buffer in buffers]
    shares = {inner: inner.dropout for inner in modes if isinstance(inner, nn.RNNBase | nn.MultiheadAttention)}
    momenta = {inner: inner.momentum for inner in modes if isinstance(inner, _BatchNorm)}
    try:
        for inner, mode in modes.items():
            inner.training = mode and not isinstance(inner, _DropoutNd)
        for dropping in shares:
            dropping.dropout = 0.0
        for norm in momenta:
            norm.momentum = 1.0
        with forked(*key):
            yield
    finally:
        for inner, mode in modes.items():
            inner.training = mode
        for dropping, share in shares.items():
            dropping.dropout = share
        for norm, momentum in momenta.items():
            norm.momentum = momentum
        for (inner, name, buffer), content in zip(buffers, contents, strict=True):
            buffer.detach().copy_(content)
            inner._buffers[name] = buffer


@contextlib.contextmanager
def holding_statistics(module: nn.Module) -> Iterator[None]:
    """Batch norms take the statistics that they have, so that no example depends on another."""
    norms = [inner for inner in module.modules() if isinstance(inner, _BatchNorm) and inner.training]
    norms = [norm for norm in norms if norm.running_mean is not None]
    for norm in norms:
        norm.training = False
    try:
        yield
    finally:
        for norm in norms:
            norm.training = True
