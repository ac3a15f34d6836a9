"""Files that are made once: what exists is never overwritten."""

from __future__ import annotations

import os
from pathlib import Path

from winit_cli.errors import UsageError
from winit_cli.store.files import write_bytes


def refuse_existing(out: Path) -> None:
    """Raise ``UsageError`` where something has that name."""
    if os.path.lexists(out):
        raise UsageError(f"{out} exists and is left as it is; name another place after the run, or move it away")


def write_new(out: Path, content: bytes) -> Path:
    """Write a whole file under a temporary name and rename it into place.

    Raises:
        UsageError: the file exists.
        StorageError: the disk refused.
    """
    refuse_existing(out)
    write_bytes(out, content)
    return out
