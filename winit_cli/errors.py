"""Every error that winit raises on purpose.

    WinitError            exit 1   something outside winit's control went wrong
    ├── UsageError        exit 2   the command line or the environment does not fit the request
    │   ├── ConfigError   exit 2   faults of a config, all of them at once
    │   └── DataError     exit 2   a data set that cannot be used as asked
    │       └── MissingDataError   its files are not on disk; downloading them cures it
    ├── StorageError      exit 1   disk, permission or network refused
    │   └── RefusedError           the operating system or SQLite did, of a path
    └── LockedError       exit 4   another live process owns the run

A message says what was wrong, what is allowed and what to do next. Only
``winit_cli.cli`` catches these and turns them into exit codes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path


class WinitError(Exception):
    """Base of all errors with a message meant for the user."""

    exit_code = 1


class UsageError(WinitError):
    """The request cannot be carried out as written."""

    exit_code = 2


class UnfitError(UsageError):
    """A scheme that looks at data sees there nothing that it can work with, which another seed may give it."""


class DataError(UsageError):
    """The data set cannot be used as asked."""


class MissingDataError(DataError):
    """The data set's files are not on disk yet."""


class StorageError(WinitError):
    """Disk, permission or network refused."""


class RefusedError(StorageError):
    """The system refused the use of ``path`` for a ``reason``; ``cure`` is what to do next."""

    def __init__(self, path: Path, reason: str, cure: str) -> None:
        super().__init__(path, reason, cure)
        self.path, self.reason, self.cure = path, reason, cure

    def __str__(self) -> str:
        return f"cannot use {self.path}: {self.reason}. {self.cure}"


class LockedError(WinitError):
    """Another live process is writing the same run."""

    exit_code = 4


class Terminated(SystemExit):
    """SIGTERM came; a ``SystemExit`` of another class is one of a user's code."""


class Unbegun(Exception):
    """The trial at a place of a stack could not be initialized, for the cause that this is raised from."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


@dataclass(frozen=True)
class Fault:
    """One fault of a config: where it stands (``file:line:column`` or an option) and what is wrong."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class ConfigError(UsageError):
    """All faults of one config."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def known(name: str, names: Iterable[str], aliases: Iterable[str] = ()) -> str:
    """Say which names exist, the nearest of them or of their aliases first: ``did you mean 'relu'? (known: …)``."""
    names = list(names)
    listed = f"known: {', '.join(names)}" if names else "there are none"
    near = difflib.get_close_matches(name.lower()[:100], [*names, *aliases], n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'? ({listed})" if near else listed


def brief(text: str, length: int = 80) -> str:
    """A text in a message: what is over ``length`` characters is left out."""
    return text if len(text) <= length else f"{text[:length]}…"
