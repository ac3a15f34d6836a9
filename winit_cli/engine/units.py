"""First-layer weights of a few units, for pictures."""

from __future__ import annotations

import math

import numpy as np
from torch import nn

from winit_cli.engine.records import Array

UNITS = 8


def first_units(model: nn.Module) -> Array:
    """The first weight's first rows as (units, height, width): a square picture where the inputs make one."""
    weight = next((p for p in model.parameters() if p.dim() > 1), None)
    if weight is None:
        return np.zeros((0, 1, 1), dtype=np.float32)
    rows = weight.detach()[:UNITS].float().cpu().numpy()
    if rows.ndim == 4:
        return np.asarray(rows.mean(axis=1), dtype=np.float32)
    flat = rows.reshape(len(rows), -1)
    side = math.isqrt(flat.shape[1])
    shape = (side, side) if side * side == flat.shape[1] else (1, flat.shape[1])
    return np.asarray(flat.reshape(len(rows), *shape), dtype=np.float32)
