"""One writer per run: an advisory lock that the operating system drops when its process ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from winit_cli.errors import LockedError
from winit_cli.store.files import refusals

FILE = ".lock"


@contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Hold the lock of a run's directory, which is made if need be.

    Raises:
        LockedError: another process holds it.
        StorageError: the directory cannot be written.
    """
    with refusals(directory):
        directory.mkdir(parents=True, exist_ok=True)
        handle = (directory / FILE).open("a+", encoding="utf-8")
    with handle:
        if not _taken(handle.fileno()):
            handle.seek(0)
            owner = handle.read().strip() or "unknown"
            raise LockedError(
                f"{directory} is being written by process {owner}; wait for it, or train beside it with --fresh"
            )
        with refusals(directory):
            handle.truncate(0)
            handle.write(str(os.getpid()))
            handle.flush()
        yield
        with refusals(directory):
            handle.truncate(0)


def _taken(descriptor: int) -> bool:
    """Whether the lock is ours now; always on systems without ``flock``."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
