"""Loss over steps."""

from __future__ import annotations

from matplotlib.figure import Figure

from winit_cli.plots import curves
from winit_cli.store.frames import RunFrames


def figure(run: RunFrames) -> Figure | None:
    """Training and test loss beside that of the best constant predictor."""
    return curves.panels(run, "loss")
