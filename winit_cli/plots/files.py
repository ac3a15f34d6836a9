"""Figures as files: PNG and SVG, the same bytes for the same run, never half-written."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from winit_cli.store.files import write_bytes

DPI = 150
CANVASES: dict[str, type[FigureCanvasBase]] = {"png": FigureCanvasAgg, "svg": FigureCanvasSVG}
# what matplotlib would stamp into each format: the date, its version, random ids
QUIET: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
SALT: dict[Any, Any] = {"svg.hashsalt": "winit"}


def encode(figure: Figure, kind: str, words: Mapping[str, str] = {}) -> bytes:
    """The figure as ``png`` or ``svg`` bytes; ``words`` are a Title and a Description for those who do not see it."""
    buffer = io.BytesIO()
    with mpl.rc_context(SALT), warnings.catch_warnings(), _at_our_size(figure):
        warnings.filterwarnings("ignore", "Glyph ", UserWarning)  # a letter that the font lacks is drawn as a box
        # not figure.savefig, which draws everything twice
        getattr(CANVASES[kind](figure), f"print_{kind}")(buffer, metadata=QUIET[kind] | dict(words))
    figure.set_layout_engine("none")  # it is laid out, which takes most of the time
    return buffer.getvalue()


@contextlib.contextmanager
def _at_our_size(figure: Figure) -> Iterator[None]:
    """Afterwards the figure has the canvas and the pixels per inch that it had."""
    canvas, dpi = figure.canvas, figure.dpi
    figure.dpi = DPI
    try:
        yield
    finally:
        figure.dpi = dpi
        figure.set_canvas(canvas)


def save(figure: Figure, stem: Path, words: Mapping[str, str] = {}) -> None:
    """Write ``stem.png`` and ``stem.svg``, making the directory; see :func:`encode` for ``words``.

    Raises:
        StorageError: the disk refused.
    """
    for kind in QUIET:
        write_bytes(stem.with_name(f"{stem.name}.{kind}"), encode(figure, kind, words))
