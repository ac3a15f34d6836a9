"""Files and directories that are made once: what exists is never overwritten."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from winit_cli.errors import RefusedError, StorageError, UsageError
from winit_cli.store.files import refusals, write_bytes


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
    with _exporting(out, out):
        write_bytes(out, content)
    return out


@contextlib.contextmanager
def new_directory(out: Path) -> Iterator[Path]:
    """A directory under a temporary name, which is renamed into place when it is whole.

    Raises:
        UsageError: something has that name.
        StorageError: the disk refused.
    """
    refuse_existing(out)
    beside = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    with _exporting(out, beside), refusals(out):
        beside.mkdir(parents=True)
        try:
            yield beside
            beside.rename(out)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


@contextlib.contextmanager
def _exporting(out: Path, written: Path) -> Iterator[None]:
    """Say of what is refused on the way to ``out`` what helps there; ``written`` is where it lies till then."""
    try:
        yield
    except RefusedError as error:
        if not {out, written} & {error.path, *error.path.parents}:
            raise  # the run could not be read
        raise StorageError(
            f"cannot write {out}: {error.reason}. The run is left as it is; free space, fix the permission, or name "
            "another place after the run"
        ) from None
