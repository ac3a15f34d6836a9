"""First-layer weights of a few units, for pictures."""

from __future__ import annotations

import math

import numpy as np
from torch import nn

from winit_cli.engine.records import Array
from winit_cli.schemes.slots import LAYERS, slots

UNITS = 8


def first_units(model: nn.Module, input_shape: tuple[int, ...]) -> Array:
    """The first weight's first rows as pictures (units, height, width), or else as vectors (units, length).

    Pictures are kernels, and weights that read a whole image (channels, height, width); channels are averaged.
    """
    weights = [slot for slot in slots(model) if slot.kind in LAYERS and len(slot.shape) > 1]
    if not weights:
        return np.zeros((0, 1), dtype=np.float32)
    rows = weights[0].parameter.detach()[:UNITS].float().cpu().numpy()
    flat = rows.reshape(len(rows), -1)
    if len(input_shape) == 3 and flat.shape[1] == math.prod(input_shape):
        rows = rows.reshape(len(rows), *input_shape)
    return np.array(rows.mean(axis=1) if rows.ndim == 4 else flat, dtype=np.float32)  # a copy: the weight lives on
