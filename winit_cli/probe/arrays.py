"""What layers gave, in one form: (B, P, U), B examples, P positions, U units."""

from __future__ import annotations

import torch
from torch import Tensor

from winit_cli.probe.layers import Layer


def arranged(tensor: Tensor, layer: Layer, examples: int) -> Tensor:
    """As (B, P, U); where another dimension came first, the one of size B does."""
    tensor = tensor.detach()
    if tensor.dim() > 1 and tensor.shape[0] != examples and tensor.shape[1] == examples:
        tensor = tensor.transpose(0, 1)
    if tensor.dim() < 2:
        return tensor.reshape(-1, 1, 1)
    if layer.has_channels:
        return tensor.flatten(2).transpose(1, 2) if tensor.dim() > 2 else tensor[:, None]
    return tensor.reshape(len(tensor), -1, tensor.shape[-1])


def joined(layer: Layer, examples: int) -> Tensor:
    """What a layer gave in all its calls, side by side."""
    calls = [arranged(out, layer, examples) for out in layer.outputs]
    alike = [z for z in calls if (z.shape[0], z.shape[2]) == (calls[0].shape[0], calls[0].shape[2])]
    return alike[0] if len(alike) == 1 else torch.cat(alike, 1)


def mean_square(x: Tensor) -> float:
    """Of the numbers of an input; NaN where it holds tokens."""
    return x.double().square().mean().item() if x.is_floating_point() else float("nan")
