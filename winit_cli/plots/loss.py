"""Loss over steps."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from winit_cli.plots import curves
from winit_cli.store.frames import RunFrames


def figure(run: RunFrames) -> Figure | None:
    """Training and test loss beside that of the best constant predictor."""
    constant = run.data.get("constant_loss")
    known = None if constant is None or not math.isfinite(constant) else float(constant)
    return curves.panels(run, "loss", known)
