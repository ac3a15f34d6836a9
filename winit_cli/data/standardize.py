"""Shift and scale inputs by statistics of the training part."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Per = Literal["all", "feature"]


def standardize(train: Array, *others: Array, per: Per) -> list[NDArray[np.float32]]:
    """``(x - mean) / std`` as float32 for every array, with the mean and std of ``train``.

    ``per="all"`` takes one mean and std; ``per="feature"`` one per channel of images (N, C, H, W)
    and one per entry of the last axis otherwise. What is constant in ``train`` is only shifted.
    """
    axes = None if per == "all" else _axes_but_feature(train.ndim)
    mean, std = _moments(train, axes)
    return [_apply(x, mean, std) for x in (train, *others)]


def _axes_but_feature(ndim: int) -> tuple[int, ...]:
    return (0, 2, 3) if ndim == 4 else tuple(range(ndim - 1))


def _moments(x: Array, axes: tuple[int, ...] | None) -> tuple[Array, Array]:
    """Mean and std, shaped to broadcast; a std of 1 where all values are equal.

    numpy sums on one thread, so the bits do not depend on the thread count; sums of bytes are exact.
    """
    constant = x.max(axis=axes, keepdims=True) == x.min(axis=axes, keepdims=True)
    mean = x.mean(axis=axes, keepdims=True, dtype=np.float64)
    if x.dtype == np.uint8:
        squares = np.square(x, dtype=np.uint16).mean(axis=axes, keepdims=True, dtype=np.float64)
        std = np.sqrt(np.maximum(squares - mean**2, 0))
    else:
        std = x.std(axis=axes, keepdims=True, dtype=np.float64)
    return mean, np.where(constant, 1.0, std)


def _apply(x: Array, mean: Array, std: Array) -> NDArray[np.float32]:
    scaled = x.astype(np.float32)
    scaled -= mean.astype(np.float32)
    scaled /= std.astype(np.float32)
    return scaled
