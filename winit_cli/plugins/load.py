"""Load a Python file that was named on the command line or from Python."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from winit_cli.data import vision
from winit_cli.errors import UsageError, known
from winit_cli.foreign import ForeignError, blaming, shown_path
from winit_cli.rng import forked

CODE = re.compile(r"(?P<path>.*\.py)(?::(?P<name>\w*))?")


def is_code(text: str) -> bool:
    """Whether a text names code: ``net.py:Net``, or ``net.py`` where the name was forgotten."""
    return CODE.fullmatch(text) is not None


def split(text: str) -> tuple[Path, str]:
    """``net.py:Net`` as a path and a name.

    Raises:
        UsageError: the name is missing; the message lists what the file defines.
    """
    found = CODE.fullmatch(text)
    assert found is not None
    path = Path(found["path"])
    if not found["name"]:
        defined = ", ".join(_defined(path)) or "nothing"
        raise UsageError(f"{text}: name the class or function, like {path}:NAME; the file defines {defined}")
    return path, found["name"]


def load(path: Path) -> ModuleType:
    """Run a Python file as a module, its folder first on the search path as for ``python FILE``.

    Raises:
        UsageError: there is no such file.
        ForeignError: it raised an error; the message has its file and line.
    """
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "does not exist"
        raise UsageError(f"{path} {what}; give a Python file")
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = f"{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look the module up
    vision.prepare()
    # what a file draws as it is loaded is the same every time, as its results are held to be
    with blaming(f"loading {shown_path(path)}"), forked("load"):
        exec(compile(path.read_bytes(), str(path.resolve()), "exec"), module.__dict__)  # never a cached older text
    return module


def member(module: ModuleType, name: str, path: Path) -> Any:
    """What a module calls by a name.

    Raises:
        ForeignError: nothing; the message names the nearest.
    """
    if not hasattr(module, name):
        raise ForeignError(f"{shown_path(path)} defines no '{name}'; {known(name, _defined(path))}")
    return getattr(module, name)


def _defined(path: Path) -> list[str]:
    """Classes and functions of a file, without running it."""
    try:
        nodes = ast.parse(path.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return []
    return [n.name for n in nodes if isinstance(n, ast.ClassDef | ast.FunctionDef) and not n.name.startswith("_")]
