"""``winit.probe``: a module with the weights that it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from pandas import DataFrame
from torch import Tensor, nn

from winit_cli.errors import UsageError
from winit_cli.losses import LOSSES
from winit_cli.probe.measure import measure
from winit_cli.probe.measured import Measured
from winit_cli.probe.trials import COLUMNS, VERDICT_COLUMNS
from winit_cli.probe.verdict import Verdict, judge
from winit_cli.rng import generator
from winit_cli.tasks import default_loss


@dataclass(frozen=True)
class Probe:
    """What ``winit.probe`` found."""

    name: str
    measured: Measured
    found: Verdict

    @property
    def verdict(self) -> str:
        """healthy, vanishing, exploding, dead, saturated, symmetric or chaotic."""
        return self.found.verdict

    @property
    def advice(self) -> str:
        """What was seen and what to do, in one sentence."""
        return self.found.advice

    @property
    def table(self) -> DataFrame:
        """All numbers, with the columns of ``probe.csv``; the module's class is its label, and it has no seed."""
        rows = [(self.name, None, *row) for row in self.measured.rows]
        return DataFrame(rows, columns=list(COLUMNS))

    @property
    def verdicts(self) -> DataFrame:
        """The verdict, with the columns of ``verdicts.csv``."""
        return DataFrame([(self.name, *self.found)], columns=list(VERDICT_COLUMNS))

    def __repr__(self) -> str:
        where = f" from {self.found.layer} on" if self.found.layer else ""
        return f"{self.verdict}{where}: {self.advice}"


def probe_module(
    module: nn.Module, x: Tensor, y: Tensor | None = None, loss: Callable[..., Tensor] | None = None
) -> Probe:
    """Measure a module with the weights that it has, on examples x (B, …), and say whether they are fit to train.

    ``loss(module(x), y)`` is the mean over the examples; without ``y``, ``loss(module(x))``. Without a ``loss`` it is
    the cross-entropy for whole numbers y and the mean squared error for others; without both, the output in a random
    direction. Weights, gradients, buffers, modes and random states are left as they are. Dropout layers are off, all
    else is in the mode that it is in.

    Raises:
        UsageError: it is no module, x is no tensor of finite numbers, its examples are all equal, the output is no
            tensor, or the loss does not depend on the parameters that train.
        ForeignError: the module or the loss raised an error.

    >>> import torch
    >>> from torch import nn
    >>> x = torch.randn(64, 20, generator=torch.Generator().manual_seed(0))
    >>> deep = nn.Sequential(*(layer for _ in range(30) for layer in (nn.Linear(20, 20), nn.ReLU())), nn.Linear(20, 2))
    >>> probe_module(deep, x).verdict
    'vanishing'
    """
    if not isinstance(module, nn.Module):
        raise UsageError(f"winit.probe takes an nn.Module, got {type(module).__name__}")
    if not isinstance(x, Tensor) or x.dim() == 0 or len(x) == 0:
        kind = f"a tensor of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise UsageError(f"x is {kind}, expected a tensor of examples (B, …)")
    if not x.isfinite().all():
        raise UsageError("x has numbers that are not finite; nothing can be said of the weights")
    measured = measure(module, x.detach(), y, _loss(y, loss), "probe", "live")
    return Probe(type(module).__name__, measured, judge([measured]))


def _loss(y: Tensor | None, loss: Callable[..., Tensor] | None) -> Callable[[Tensor, Any], Tensor]:
    if loss is not None:
        return loss if y is not None else lambda out, _: loss(out)
    if y is None:
        return _random_direction
    task = "regression" if y.is_floating_point() else "classification"
    return LOSSES[default_loss(task)].function


def _random_direction(out: Tensor, _: object) -> Tensor:
    """Mean over the examples of ``v . out``, v standard normal: a gradient that does not depend on the output."""
    v = torch.randn(out.shape, generator=generator("probe", "direction")).to(out)
    return (v * out).sum() / len(out)
