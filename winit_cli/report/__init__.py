"""The report of a run: figures as files, one self-contained HTML page, and texts to paste elsewhere."""

from __future__ import annotations

from pathlib import Path

from winit_cli.findings import Findings
from winit_cli.report.formats import FORMATS, joined_name, parse_formats, write_joined, write_run
from winit_cli.report.page import draw, page
from winit_cli.report.pictures import SHOWN
from winit_cli.store.frames import RunFrames

__all__ = ["FORMATS", "joined_name", "parse_formats", "render", "write", "write_joined", "write_run"]


def render(run: RunFrames) -> str:
    """The HTML page: styles, scripts, figures and tables inside it, nothing loaded."""
    return page(Findings(run), draw(run, frozenset(SHOWN)))


def write(run: RunFrames) -> Path:
    """Write ``report.html``, ``figures/*.png`` and ``figures/*.svg`` into the run; returns the page's path.

    Raises:
        StorageError: the disk refused.
    """
    return write_run(Findings(run))[0]
