"""The process as it was: what code from outside may change is put back when a command or a call ends."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

import torch

from winit_cli.foreign import is_library


@contextlib.contextmanager
def as_before(rows_of_all: Iterable[dict[str, Any]]) -> Iterator[None]:
    """Tables of rows, the search path and what torch keeps for all as they were, however it ends."""
    tables = [(rows, dict(rows)) for rows in rows_of_all]
    path, quiet = list(sys.path), sys.dont_write_bytecode
    dtype, gradients = torch.get_default_dtype(), torch.is_grad_enabled()
    sys.dont_write_bytecode = True  # no caches beside a user's files, and no older text from them
    try:
        yield
    finally:
        for rows, before in tables:
            rows.clear()
            rows.update(before)
        sys.path[:], sys.dont_write_bytecode = path, quiet
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)


@contextlib.contextmanager
def modules_aside() -> Iterator[None]:
    """Modules of users are read from their files as they are, whatever this process has imported before."""
    aside = _users_modules()
    importlib.invalidate_caches()
    for name in aside:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in _users_modules():
            del sys.modules[name]
        sys.modules.update(aside)


def _users_modules() -> dict[str, ModuleType]:
    files = {
        name: getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if name != "__main__"
    }
    return {name: sys.modules[name] for name, file in files.items() if file and not is_library(file)}
