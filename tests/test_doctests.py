"""The examples in docstrings."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import winit_cli

PACKAGE = Path(winit_cli.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_examples_in_docstrings(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    module = importlib.import_module(".".join(part for part in parts if part != "__init__"))
    result = doctest.testmod(module)
    # methods of a module's own class are not among what doctest looks for
    extra = [doctest.DocTestRunner().run(test) for test in _of_call(module)]
    assert result.failed == 0 and not any(found.failed for found in extra)
    assert result.attempted + sum(found.attempted for found in extra) > 0
    assert list(tmp_path.iterdir()) == []


def _of_call(module: object) -> list[doctest.DocTest]:
    call = type(module).__call__ if callable(module) else None
    return [] if call is None else [test for test in doctest.DocTestFinder().find(call, "call") if test.examples]


def test_the_python_interface_has_examples() -> None:
    assert {"init.py", "compare.py", "arrays.py", "__init__.py"} <= {path.name for path in FILES}
