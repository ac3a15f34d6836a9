"""A scheme as Python code: a function of the formula's name with one call of torch."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import dataclass

from torch.nn import init

from winit_cli.errors import UsageError
from winit_cli.schemes import SCHEMES, Scheme
from winit_cli.schemes.recipe import Use

WIDTH = 120
_CALL = re.compile(r"(nn\.init\.(\w+)\()w(?:, )?((?:\w+=[^\s,()]+(?:, )?)*)\)")


@dataclass(frozen=True)
class Function:
    """One scheme with its options as a function that fills a tensor."""

    name: str
    docstring: str
    call: str
    own_generator: bool


def function_of(name: str, use: Use) -> Function:
    """The function called ``name`` for a scheme.

    Raises:
        UsageError: the scheme is no call of torch.
    """
    row = SCHEMES[use.scheme]
    found = _CALL.fullmatch(row.torch_call)
    if row.source or row.choose or found is None:
        raise UsageError(
            f"{use.scheme} is no function of torch, so it cannot be written as Python that needs torch alone; "
            "use --to safetensors, which takes the values themselves"
        )
    arguments = re.findall(r"\w+=\S+(?=, |$)", (found[3] or "").replace("'", '"').format(**use.arguments))
    if "generator" in inspect.signature(getattr(init, found[2])).parameters:
        arguments.append("generator=generator")
    own = found[2] == "sparse_"
    call = _wrapped(found[1], ["tensor", *arguments], 8 if own else 4)
    return Function(name, _docstring(row), call, own)


def _docstring(row: Scheme) -> str:
    """Formula and paper, on one line if they fit."""
    one = f'"""{row.formula} ({row.paper})."""'
    if len(one) + 4 <= WIDTH:
        return one
    paper = textwrap.fill(f"{row.paper}.", WIDTH - 4, subsequent_indent="    ", initial_indent="    ")
    return f'"""{row.formula}.\n\n{paper}\n    """'


def _wrapped(head: str, arguments: list[str], indent: int) -> str:
    """A call on one line, or as ruff breaks it."""
    one, inner = f"{head}{', '.join(arguments)})", " " * (indent + 4)
    if indent + len(one) <= WIDTH:
        return one
    line = inner + ", ".join(arguments)
    body = line if len(line) <= WIDTH else "\n".join(f"{inner}{argument}," for argument in arguments)
    return f"{head}\n{body}\n{' ' * indent})"
