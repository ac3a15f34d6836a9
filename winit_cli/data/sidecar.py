"""What downloaded files were: a hidden file beside them with the SHA-256 of each, so that later damage shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

NAME = ".winit-sha256.json"


def record(folder: Path, hashes: dict[str, str]) -> None:
    """Write what the files of a folder are."""
    (folder / NAME).write_text(json.dumps(hashes, indent=2) + "\n", encoding="utf-8")


def hashes_of(folder: Path, files: Sequence[str]) -> dict[str, str]:
    """The SHA-256 of each file."""
    return {name: _sha256(folder / name) for name in files}


def first_damaged(folder: Path, files: Sequence[str]) -> Path | None:
    """The first file that is not what was recorded, or the record where it cannot be read; None without a record."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        recorded = json.loads(path.read_bytes())
        wanted = {name: recorded[name] for name in files}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return path
    return next((folder / name for name in files if _sha256(folder / name) != wanted[name]), None)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
