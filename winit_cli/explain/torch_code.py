"""Code to copy: the calls of torch that fill a layer as a scheme does."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from winit_cli.explain.layers import Layer
from winit_cli.schemes import SCHEMES
from winit_cli.schemes.apply import AS_BUILT, DEFAULT, Assignment
from winit_cli.theory.moments import Moments, fans

WIDTH = 80
TARGET = re.compile(r"\bw\b")
INITIALIZER = re.compile(r"nn\.init\.\w+")
KNOWN = {"w", "nn", "torch", "math", "max", "range"}  # names that a call may use


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
    row = SCHEMES[use.scheme]
    fan_in, fan_out = fans(slot.block_shape) if len(slot.block_shape) > 1 else (None, None)
    text, values = (row.torch_call, use.arguments) if row.code is None else (row.code(**use.arguments), {})
    call = filled(text, {**values, "fan_in": fan_in, "fan_out": fan_out})
    if not TARGET.search(call) or not _runs(call):
        return None
    whole = f"layer.{slot.name}"
    if slot.blocks == 1 or moments.std == 0:
        return _statements(TARGET.sub(whole, call), "")
    part = "gate" if layer.is_recurrent else "group"
    gates = f"  # {', '.join(layer.gates)}" if layer.gates else ""
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
            lines.append(_comment(f"layer.{assignment.slot.name}: {words}"))
    fitted = dict.fromkeys(one.fitted.scheme for one in assignments if one.fitted is not None)
    lines += [_comment(f"then on training data: {SCHEMES[name].torch_call}") for name in fitted]
    code = "\n".join(lines)
    imports = [f"import {name}" for name in ("math", "torch") if re.search(rf"\b{name}\.", code)]
    return "\n".join([*imports, "from torch import nn", "", code])


def _comment(text: str) -> str:
    return textwrap.fill(f"# {text}", WIDTH, subsequent_indent="#   ")


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
    body = ast.parse(code).body
    if all(_is_initializer(node) or _is_arithmetic(node) for node in body):
        return "\n".join(_broken(node, code, indent) for node in body)
    inner = "\n".join(_broken(node, code, f"{indent}    ") for node in body)
    return f"{indent}with torch.no_grad():\n{inner}"


def _is_initializer(node: ast.stmt) -> bool:
    """Whether it is a call of torch.nn.init."""
    is_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    return is_call and INITIALIZER.fullmatch(ast.unparse(node.value.func)) is not None  # type: ignore[attr-defined]


def _is_arithmetic(node: ast.stmt) -> bool:
    """Whether it computes with numbers alone."""
    names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}
    return isinstance(node, ast.Assign) and names <= {"math", "max"}


def _broken(node: ast.stmt, code: str, indent: str) -> str:
    """A statement; where it is a long call of torch.nn.init, with its arguments on lines of their own."""
    statement = str(ast.get_source_segment(code, node))
    if max(map(len, statement.splitlines())) + len(indent) <= WIDTH or not _is_initializer(node):
        return textwrap.indent(statement, indent)
    head, bracket, arguments = statement.partition("(")
    inner = f"{indent}    {arguments[:-1]}"
    if len(inner) > WIDTH:
        call = ast.parse(statement, mode="eval").body
        assert isinstance(call, ast.Call)
        inner = "\n".join(f"{indent}    {ast.unparse(part)}," for part in (*call.args, *call.keywords))
    return f"{indent}{head}{bracket}\n{inner}\n{indent})"
