"""Code to copy: the calls of torch that fill a layer as a scheme does."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from winit_cli.explain.layers import GATES, Layer
from winit_cli.schemes import SCHEMES
from winit_cli.schemes.apply import AS_BUILT, DEFAULT, Assignment
from winit_cli.theory.moments import Moments

WIDTH = 80
TARGET = re.compile(r"\bw\b")
INITIALIZER = re.compile(r"nn\.init\.\w+\([^()]*\)")
KNOWN = {"w", "nn", "torch", "math"}  # names that a call may use


def filled(call: str, options: Mapping[str, Any]) -> str:
    """The ``torch_call`` of a row with its options put in; as it is where its braces mean something else."""
    try:
        return call.format(**options)
    except (LookupError, ValueError):
        return call


def call_of(assignment: Assignment, layer: Layer, moments: Moments) -> str | None:
    """The call of torch for one parameter of ``layer``, block by block where it is packed.

    ``None`` where the row of the scheme has none that runs as it stands.
    """
    slot, use = assignment.slot, assignment.use
    call = filled(SCHEMES[use.scheme].torch_call, use.arguments)
    if not TARGET.search(call) or not _runs(call):
        return None
    whole = f"layer.{slot.name}"
    if slot.blocks == 1 or moments.std == 0:
        return _statements(TARGET.sub(whole, call), "")
    part = "gate" if layer.is_recurrent else "group"
    gates = f"  # {GATES[layer.kind]}" if layer.kind in GATES else ""
    return f"for {part} in {whole}.chunk({slot.blocks}):{gates}\n{_statements(TARGET.sub(part, call), '    ')}"


def code_of(layer: Layer, assignments: Sequence[Assignment], calls: Sequence[str | None]) -> str:
    """A program that makes the layer and fills it; what has no call that runs is a comment."""
    lines = [f"layer = {layer.code}"]
    if any(assignment.use == DEFAULT for assignment in assignments):
        lines.append("layer.reset_parameters()  # what its constructor does")
    for assignment, call in zip(assignments, calls, strict=True):
        if call is not None:
            lines.append(call)
        elif assignment.use not in (AS_BUILT, DEFAULT):
            row = SCHEMES[assignment.use.scheme]
            words = row.torch_call or f"no call of torch does what {row.name} does"
            lines.append(textwrap.fill(f"# layer.{assignment.slot.name}: {words}", WIDTH, subsequent_indent="#   "))
    code = "\n".join(lines)
    imports = [f"import {name}" for name in ("math", "torch") if re.search(rf"\b{name}\.", code)]
    return "\n".join([*imports, "from torch import nn", "", code])


def _runs(call: str) -> bool:
    """Whether it is Python whose names are all known."""
    try:
        names = [node for node in ast.walk(ast.parse(call)) if isinstance(node, ast.Name)]
    except SyntaxError:
        return False
    made = {name.id for name in names if isinstance(name.ctx, ast.Store)}
    return {name.id for name in names} <= KNOWN | made


def _statements(code: str, indent: str) -> str:
    """One a line; functions of torch.nn.init build no graph by themselves, others are kept from it."""
    found = [str(ast.get_source_segment(code, node)) for node in ast.parse(code).body]
    if all(INITIALIZER.fullmatch(statement) for statement in found):
        return "\n".join(_broken(statement, indent) for statement in found)
    inner = "\n".join(_broken(statement, f"{indent}    ") for statement in found)
    return f"{indent}with torch.no_grad():\n{inner}"


def _broken(statement: str, indent: str) -> str:
    """A statement; where it is a long call of torch.nn.init, with its arguments on lines of their own."""
    if len(indent + statement) <= WIDTH or not INITIALIZER.fullmatch(statement):
        return indent + statement
    head, bracket, arguments = statement.partition("(")
    inner = f"{indent}    {arguments[:-1]}"
    if len(inner) > WIDTH:
        call = ast.parse(statement, mode="eval").body
        assert isinstance(call, ast.Call)
        inner = "\n".join(f"{indent}    {ast.unparse(part)}," for part in (*call.args, *call.keywords))
    return f"{indent}{head}{bracket}\n{inner}\n{indent})"
