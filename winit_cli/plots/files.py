"""Figures as files: PNG and SVG, the same bytes for the same run, never half-written."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from winit_cli.store.files import refusals

DPI = 150
# what matplotlib would stamp into each format: the date, its version, random ids
QUIET: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
SALT: dict[Any, Any] = {"svg.hashsalt": "winit"}


def encode(figure: Figure, kind: str) -> bytes:
    """The figure as ``png`` or ``svg`` bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context(SALT):
        figure.savefig(buffer, format=kind, dpi=DPI, metadata=QUIET[kind])
    return buffer.getvalue()


def save(figure: Figure, stem: Path) -> None:
    """Write ``stem.png`` and ``stem.svg``, making the directory.

    Raises:
        StorageError: the disk refused.
    """
    for kind in QUIET:
        write_bytes(stem.with_name(f"{stem.name}.{kind}"), encode(figure, kind))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file under a temporary name and rename it into place.

    Raises:
        StorageError: the disk refused.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with refusals(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_bytes(content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
