"""What an engine reports of a trial: plain numbers and arrays, nothing that refers to the device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from winit_cli.schemes.audit import InitRecord
from winit_cli.schemes.fitting import Cost

Split = Literal["train", "val", "test"]
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Started:
    """The initialized trial: the audit of its parameters, some first-layer units (units, height, width), what schemes
    took that looked at data, and in words what is not as its scheme promises."""

    init: list[InitRecord]
    init_hash: str
    units: Array
    cost: Cost
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Point:
    """Loss and accuracy (``None`` for regression) of a split after ``step`` updates."""

    step: int
    split: Split
    loss: float
    accuracy: float | None


@dataclass(frozen=True)
class Norms:
    """The gradient norms after ``step`` updates, in the order of the records of ``Started.init``; ``None`` for those
    without a gradient: frozen parameters and other names of tied ones."""

    step: int
    values: list[float | None]


@dataclass(frozen=True)
class Packed:
    """A tensor as plain bytes in row-major order; ``strides`` in elements are those that it had in memory."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    data: bytes


@dataclass(frozen=True)
class Checkpoint:
    """What continues a trial after ``step`` updates."""

    step: int
    arrays: list[Packed]


@dataclass(frozen=True)
class Chunk:
    """What was measured since the last chunk, up to and including ``step`` updates; with a checkpoint, the state
    from which the trial goes on behind these measurements."""

    step: int
    points: list[Point] = field(default_factory=list)
    norms: list[Norms] = field(default_factory=list)
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True)
class Finished:
    """How a trial ended. Finals are blank (``None``) where it diverged at ``diverged_step``."""

    status: Literal["ok", "diverged"]
    outcome: Literal["learned", "stuck", "diverged"]
    diverged_step: int | None
    train_loss: float | None
    val_loss: float | None
    test_loss: float | None
    test_accuracy: float | None
    units: Array
