"""Figures as files: PNG and SVG, the same bytes for the same run, never half-written."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from winit_cli.store.files import write_bytes

DPI = 150
# what matplotlib would stamp into each format: the date, its version, random ids
QUIET: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
SALT: dict[Any, Any] = {"svg.hashsalt": "winit"}


def encode(figure: Figure, kind: str, words: Mapping[str, str] = {}) -> bytes:
    """The figure as ``png`` or ``svg`` bytes; ``words`` are a Title and a Description for those who do not see it."""
    buffer = io.BytesIO()
    with mpl.rc_context(SALT), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph ", UserWarning)  # a letter that the font lacks is drawn as a box
        figure.savefig(buffer, format=kind, dpi=DPI, metadata=QUIET[kind] | dict(words))
        figure.set_layout_engine("none")  # it is laid out, which takes most of the time
    return buffer.getvalue()


def save(figure: Figure, stem: Path, words: Mapping[str, str] = {}) -> None:
    """Write ``stem.png`` and ``stem.svg``, making the directory; see :func:`encode` for ``words``.

    Raises:
        StorageError: the disk refused.
    """
    for kind in QUIET:
        write_bytes(stem.with_name(f"{stem.name}.{kind}"), encode(figure, kind, words))
