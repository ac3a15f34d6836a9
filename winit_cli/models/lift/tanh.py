"""The hyperbolic tangent, fast on a processor too."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def tanh(x: Tensor, *, out: Tensor) -> Tensor:
    """tanh(x) into ``out``, which may be ``x``; not recorded for autograd.

    On a processor by numpy, which is several times as fast there as torch and as exact but for the last bit.
    """
    if x.device.type != "cpu":
        return torch.tanh(x, out=out)
    np.tanh(x.numpy(), out=out.numpy())
    return out
