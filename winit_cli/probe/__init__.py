"""Measure networks at initialization. Nothing is trained.

A module's layers are watched in one forward and one backward pass (``observe.py``, ``measure.py``); ``verdict.py`` says
what the numbers mean, ``trials.py`` probes the labels of a config, ``live.py`` a module that somebody has.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

    from winit_cli.probe.live import Probe


class _Probe(ModuleType):
    """This package, which can be called: importing it makes it the attribute ``winit.probe``."""

    def __call__(
        self, module: nn.Module, x: Tensor, y: Tensor | None = None, loss: Callable[..., Tensor] | None = None
    ) -> Probe:
        """See :func:`winit_cli.probe.live.probe_module`."""
        from winit_cli.probe.live import probe_module

        return probe_module(module, x, y, loss)


sys.modules[__name__].__class__ = _Probe
