"""A scheme's formula with the numbers of one block put in: ``std = gain / sqrt(fan_in) = sqrt(2) / sqrt(784) = …``."""

from __future__ import annotations

import math
from collections.abc import Sequence

from winit_cli.explain.fan import Fan, Of, ignores_shape
from winit_cli.explain.spelled import spelled
from winit_cli.theory.moments import Moments

LISTED = 10  # values that are told one by one


def in_numbers(moments: Moments, fan: Fan | None, formula: Of | None, shape: Sequence[int]) -> str:
    """The text; ``formula`` gives the moments of other shapes, where the size of the layer may not matter."""
    std = moments.std
    if std is None:
        return "none: the row of the scheme has no moments for these values"
    if std == 0:
        return "every value is the same" if moments.mean is None else f"every value is {moments.mean:g}"
    if fan is None:
        everywhere = ", whatever the layer's size" if formula and ignores_shape(formula, shape) else ""
        mean = f", mean = {moments.mean:.4g}" if moments.mean else ""
        return f"std = {std:.4g}{mean}{_bound(std, moments.bound)}{everywhere}"
    if moments.bound is not None and math.isclose(moments.bound * math.sqrt(fan.size), 1):
        root = f"1 / sqrt({fan.name}) = 1 / sqrt({fan.in_numbers})"
        return f"bound = {root} = {moments.bound:.4g}, std = bound / sqrt(3) = {std:.4g}"
    assert moments.gain is not None
    name, top = "gain" if moments.gain > 0 else "|gain|", spelled(abs(moments.gain))
    top = f"({top})" if top[0].isdigit() and "/" in top else top
    return f"std = {name} / sqrt({fan.name}) = {top} / sqrt({fan.in_numbers}) = {std:.4g}{_bound(std, moments.bound)}"


def in_parts(moments: Moments, names: Sequence[str]) -> str:
    """The laws of gates that differ, ``i, g, o: U(±0.125), std 0.07217; f: every value is 1``, or values one by one;
    empty where all is of one law."""
    if not names:
        values = [f"{part.mean:.4g}" for part in moments.parts[:LISTED]]
        return ", ".join(values if len(moments.parts) <= LISTED else [*values, "…"])
    laws: dict[str, list[str]] = {}
    for name, part in zip(names, moments.parts, strict=False):
        laws.setdefault(_law(part), []).append(name)
    return "; ".join(f"{', '.join(gates)}: {law}" for law, gates in laws.items())


def _law(part: Moments) -> str:
    assert part.std is not None and part.mean is not None and part.bound is not None
    if part.std == 0:
        return f"every value is {part.mean:g}"
    if part.mean == 0 and math.isclose(part.bound, math.sqrt(3) * part.std):
        return f"U(±{part.bound:.4g}), std {part.std:.4g}"
    return f"mean {part.mean:.4g}, std {part.std:.4g}, at most {part.bound:.4g} in size"


def _bound(std: float, bound: float | None) -> str:
    if bound is None:
        return ""
    is_uniform = math.isclose(bound, math.sqrt(3) * std, rel_tol=1e-9)
    return f", bound = {'sqrt(3) std = ' if is_uniform else ''}{bound:.4g}"
