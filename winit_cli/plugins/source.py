"""The source hash of a user's code: edited code must never serve results of what it was before."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

from winit_cli.foreign import is_library


def source_hash(path: Path, own: Path | None = None) -> str:
    """SHA-256 over a file and every file of user's code that it imports, directly or not.

    Imports are read from the text, those inside functions too, and what else of a user's has been imported by now
    counts as well; what a function imports later by a name that is only known then is missed. Installed packages are
    left out, but for what lies in the folder ``own``.
    """
    done: dict[Path, str] = {}
    todo = [(path.resolve(), ""), *_loaded()]
    while todo:
        file, package = todo.pop()
        if file in done:
            continue
        content = file.read_bytes()
        done[file] = f"{file.name} {hashlib.sha256(content).hexdigest()}"
        for name in _imported(content, package):
            found = _file_of(name)
            if found is not None and (not is_library(found) or (own is not None and own in found.parents)):
                todo.append((found, name if found.name == "__init__.py" else name.rpartition(".")[0]))
    first, *others = (text if file != path.resolve() else text.rpartition(" ")[2] for file, text in done.items())
    return hashlib.sha256("\n".join([first, *sorted(others)]).encode()).hexdigest()


def _loaded() -> list[tuple[Path, str]]:
    """Files of the user's modules that this process has imported from a folder that it imports from."""
    folders = {Path(folder).resolve() for folder in sys.path}
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or name == "__main__" or not file.endswith(".py") or is_library(file):
            continue
        parents = Path(file).resolve().parents
        depth = name.count(".") + (Path(file).name == "__init__.py")
        if len(parents) > depth and parents[depth] in folders:
            found.append((Path(file).resolve(), module.__package__ or ""))
    return found


def _imported(content: bytes, package: str) -> Iterator[str]:
    """Names of the modules that a file imports, and of what it imports from them, which may be modules too."""
    try:
        nodes = list(ast.walk(ast.parse(content)))
    except (SyntaxError, ValueError):
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            yield from _with_parents(base)
            yield from (f"{base}.{alias.name}" for alias in node.names if base and alias.name != "*")


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[: end + 1]) for end in range(len(parts)) if name)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parents = package.split(".")
    base = parents[: len(parents) - node.level + 1]
    return ".".join([*base, node.module] if node.module else base)


def _file_of(name: str) -> Path | None:
    """Where the module of a name lies; ``None`` for what is no module in a Python file."""
    try:
        spec = importlib.util.find_spec(name)
    except Exception:  # it may have to import a package of the user's
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin).resolve()
