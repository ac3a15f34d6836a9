"""Code that is not winit's: a user's model, loss or plug-in. Its faults are told with their file and line."""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from winit_cli.errors import Terminated, UsageError, WinitError, brief

_OWN = Path(__file__).parent
_LIBRARIES = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_PREFIXES = tuple(f"{folder}{os.sep}" for folder in (_OWN, *_LIBRARIES))
# an error of an installed plug-in often comes out of torch, which it called
_NEVER_BLAMED = (_OWN, *_LIBRARIES[:2], *(folder / "torch" for folder in _LIBRARIES[2:]))


class ForeignError(UsageError):
    """A user's code raised an error, or is not what was asked for."""


def is_library(path: str | Path) -> bool:
    """Whether a file belongs to Python, to an installed package or to winit."""
    if str(path).startswith(_PREFIXES):  # nearly all of the thousands that a process imports
        return True
    return _is_installed(path) or _is_below(path, (_OWN, *_LIBRARIES))


def _is_below(path: str | Path, folders: Iterable[Path]) -> bool:
    """Whether a file is in one of the folders, or is none at all (``<string>``)."""
    file = Path(path)
    return not file.is_absolute() or any(folder in file.parents for folder in folders)


def _is_installed(path: str | Path) -> bool:
    """Whether it lies where installers put packages: in a folder that says so, or that lists what was installed."""
    file = Path(path)
    in_a_site = not {"site-packages", "dist-packages"}.isdisjoint(file.parts)
    return in_a_site or any(_lists_installed(folder) for folder in list(file.parents)[:4] if str(folder) in sys.path)


@cache
def _lists_installed(folder: Path) -> bool:
    return next(folder.glob("*.dist-info"), None) is not None


@contextlib.contextmanager
def blaming(what: str) -> Iterator[None]:
    """Turn what a user's code raises into a ``ForeignError``: ``net.py:12: Net raised TypeError: …``.

    Errors that winit raises on purpose pass.
    """
    try:
        yield
    except (WinitError, Terminated, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        place = place_of(error)
        raise ForeignError(f"{place}{': ' if place else ''}{what} raised {described(error)}") from error


def described(error: BaseException) -> str:
    """The error's type and the first line of its text."""
    text = (error.msg if isinstance(error, SyntaxError) else str(error)).strip().partition("\n")[0]
    return f"{type(error).__name__}: {brief(text, 300)}" if text else type(error).__name__


def place_of(error: BaseException) -> str:
    """``file:line`` of the innermost line of a user's code that an error went through; empty without one."""
    if isinstance(error, SyntaxError) and error.filename and not is_library(error.filename):
        return f"{shown_path(error.filename)}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not is_library(frame.filename)] or [
        frame for frame in frames if not _is_below(frame.filename, _NEVER_BLAMED)
    ]
    return f"{shown_path(theirs[-1].filename)}:{theirs[-1].lineno}" if theirs else ""


def place_of_function(function: object) -> str:
    """``file:line`` where a function or class of a user begins; empty where Python does not know."""
    target = getattr(function, "__init__", function) if isinstance(function, type) else function
    code = getattr(target, "__code__", None)
    return f"{shown_path(code.co_filename)}:{code.co_firstlineno}: " if code is not None else ""


def shown_path(path: str | Path) -> str:
    """A path as short as it can be written from here."""
    file = Path(path)
    with contextlib.suppress(ValueError, OSError):
        return str(file.relative_to(Path.cwd()))
    return str(file)
