"""Accuracy over steps."""

from __future__ import annotations

from matplotlib.figure import Figure

from winit_cli.plots import curves
from winit_cli.store.frames import RunFrames


def figure(run: RunFrames) -> Figure | None:
    """Training and test accuracy; None for regression."""
    return curves.panels(run, "accuracy")
