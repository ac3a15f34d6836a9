"""Code to copy: the calls of torch that fill a layer as a scheme does."""

from __future__ import annotations

import ast
import re

from winit_cli.explain.layers import GATES, Layer
from winit_cli.schemes import SCHEMES
from winit_cli.schemes.apply import Assignment
from winit_cli.theory.moments import Moments

WIDTH = 80
TARGET = re.compile(r"\bw\b")


def call_of(assignment: Assignment, layer: Layer, moments: Moments) -> str | None:
    """The call of torch for one parameter of ``layer``, block by block where it is packed; ``None`` without one."""
    slot, use = assignment.slot, assignment.use
    call = SCHEMES[use.scheme].torch_call.format(**use.options)
    if not TARGET.search(call) or not _is_python(call):
        return None
    whole = f"layer.{slot.name}"
    if slot.blocks == 1 or moments.std == 0:
        return _broken(TARGET.sub(whole, call), "")
    part = "gate" if layer.is_recurrent else "group"
    gates = f"  # {GATES[layer.kind]}" if layer.kind in GATES else ""
    return f"for {part} in {whole}.chunk({slot.blocks}):{gates}\n{_broken(TARGET.sub(part, call), '    ')}"


def code_of(layer: Layer, assignments: list[Assignment], calls: list[str | None]) -> str:
    """A program that makes the layer and fills it; parameters without a call of torch are named in a comment."""
    lines = ["from torch import nn", "", f"layer = {layer.code}"]
    if any(assignment.use.scheme == "pytorch_default" for assignment in assignments):
        lines.append("layer.reset_parameters()  # what its constructor does")
    for assignment, call in zip(assignments, calls, strict=True):
        row = SCHEMES[assignment.use.scheme]
        if call is not None:
            lines.append(call)
        elif not row.own_biases:
            lines.append(f"# layer.{assignment.slot.name}: no call of torch does what {row.name} does")
    return "\n".join(lines)


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


def _broken(call: str, indent: str) -> str:
    """A call on one line, or with its arguments on a line of their own."""
    head, bracket, arguments = call.partition("(")
    if len(indent + call) <= WIDTH or not call.endswith(")"):
        return indent + call
    return f"{indent}{head}{bracket}\n{indent}    {arguments[:-1]}\n{indent})"
