"""The report of a run: figures as files and one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

from winit_cli.plots import PLOTS, encode
from winit_cli.report.page import draw, page
from winit_cli.report.pictures import SHOWN
from winit_cli.store.files import write_bytes
from winit_cli.store.frames import RunFrames

__all__ = ["render", "write"]


def render(run: RunFrames) -> str:
    """The HTML page: styles, scripts, figures and tables inside it, nothing loaded."""
    return page(run, draw(run, frozenset(SHOWN)))


def write(run: RunFrames) -> Path:
    """Write ``figures/*.png``, ``figures/*.svg`` and ``report.html`` into the run; returns the page's path.

    Raises:
        StorageError: the disk refused.
    """
    pictures: dict[str, bytes] = {}
    for plot in PLOTS:
        figure = plot.draw(run)
        if figure is not None:
            pictures[plot.name] = encode(figure, "png")
            write_bytes(run.path / "figures" / f"{plot.name}.png", pictures[plot.name])
            write_bytes(run.path / "figures" / f"{plot.name}.svg", encode(figure, "svg"))
    path = run.path / "report.html"
    write_bytes(path, page(run, pictures).encode())
    return path
