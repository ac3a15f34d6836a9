"""Text of winit's own functions for the files that it writes, and the imports that code needs."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable
from itertools import groupby
from types import ModuleType

from torch import nn

from winit_cli.schemes import kinds as layer_kinds

# names that the written code may use, by the module that they come from ("" where the module itself is the name)
FROM = {
    "copy": "",
    "hashlib": "",
    "inspect": "",
    "json": "",
    "re": "",
    "Callable": "collections.abc",
    "Iterator": "collections.abc",
    "Mapping": "collections.abc",
    "Sequence": "collections.abc",
    "fnmatchcase": "fnmatch",
    "Any": "typing",
    "NamedTuple": "typing",
    "torch": "",
    "Generator": "torch",
    "Tensor": "torch",
    "nn": "torch",
    "_NormBase": "torch.nn.modules.batchnorm",
    "_ConvNd": "torch.nn.modules.conv",
    "NonDynamicallyQuantizableLinear": "torch.nn.modules.linear",
    "ParametrizationList": "torch.nn.utils.parametrize",
    "remove_parametrizations": "torch.nn.utils.parametrize",
    "TorchDispatchMode": "torch.utils._python_dispatch",
}


def source(module: ModuleType, name: str) -> str:
    """The text of a function, class or constant of a module, without marks for type checkers."""
    text = inspect.getsource(module)
    for node in ast.parse(text).body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        named = {getattr(node, "name", None), *(ast.unparse(target) for target in targets)}
        if name in named:
            found = ast.get_source_segment(text, node)
            assert found is not None
            return re.sub(r"  # type: ignore\[[\w-]+\]", "", found).replace("Kind", "str")
    raise AssertionError(f"{module.__name__} has no {name}")


def kinds() -> list[tuple[str, str]]:
    """Kinds of layers with the classes that are of the kind, as code."""
    rows = groupby(vars(layer_kinds)["_KINDS"], key=lambda row: row[1])
    return [(kind, _classes([cls for cls, _ in row])) for kind, row in rows]


def gates() -> list[tuple[int, str]]:
    """Numbers of gates with the recurrent layers that have so many, as code."""
    rows = groupby(vars(layer_kinds)["_GATES"], key=lambda row: row[1])
    return [(count, _classes([cls for cls, _ in row])) for count, row in rows]


def imports(code: str) -> str:
    """The import statements that code needs, in the order that ruff wants."""
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    names = [name for name in FROM if name in used]
    sections = [[n for n in names if _of_torch(n) is wanted] for wanted in (False, True)]
    return "\n\n".join("\n".join(_statements(section)) for section in sections)


def _of_torch(name: str) -> bool:
    return (FROM[name] or name).startswith("torch")


def _statements(names: Iterable[str]) -> list[str]:
    names = list(names)
    whole = [f"import {name}" for name in names if not FROM[name]]
    parts = groupby([name for name in names if FROM[name]], key=lambda name: FROM[name])
    return [*whole, *(f"from {module} import {', '.join(part)}" for module, part in parts)]


def _classes(classes: list[type]) -> str:
    names = [f"nn.{cls.__name__}" if hasattr(nn, cls.__name__) else cls.__name__ for cls in classes]
    return names[0] if len(names) == 1 else f"({', '.join(names)})"
