"""Which fan a scheme divides by, found from its moments: std = gain / sqrt(fan)."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from winit_cli.theory.moments import Moments, fans

Of = Callable[[Sequence[int]], Moments]

FANS: dict[str, Callable[[Mapping[str, int]], float]] = {
    "fan_in": lambda v: v["fan_in"],
    "fan_out": lambda v: v["fan_out"],
    "(fan_in + fan_out) / 2": lambda v: (v["fan_in"] + v["fan_out"]) / 2,
    "max(rows, columns)": lambda v: max(v["rows"], v["columns"]),
}


@dataclass(frozen=True)
class Fan:
    """``(fan_in + fan_out) / 2``, the same ``in_numbers``, and its size."""

    name: str
    in_numbers: str
    size: float


def fan_of(moments: Of, shape: Sequence[int]) -> Fan | None:
    """The fan of a block (out, in, *kernel); ``None`` where the formula has no gain, or none of these fans.

    On a square layer all fans are equal, so two more shapes with the same kernel, one wide and one tall, have to agree.
    """
    small, large = 4, 4 * 4 * math.prod(shape[2:])
    shapes = (shape, (small, large, *shape[2:]), (large, small, *shape[2:]))
    with contextlib.suppress(Exception):  # a formula that does not hold for all of them has none of these fans
        found = [(_values(tried), moments(tried)) for tried in shapes]
        name = next((name for name, size in FANS.items() if all(_agrees(m, size(v)) for v, m in found)), None)
        return None if name is None else _fan(name, found[0][0])
    return None


def ignores_shape(moments: Of, shape: Sequence[int]) -> bool:
    """Whether the formula gives the same to layers of any size."""
    with contextlib.suppress(Exception):
        return len({moments(tried) for tried in (tuple(shape), (4, 5, *shape[2:]), (6, 3, *shape[2:]))}) == 1
    return False


def _values(shape: Sequence[int]) -> dict[str, int]:
    fan_in, fan_out = fans(shape)
    return {"fan_in": fan_in, "fan_out": fan_out, "rows": shape[0], "columns": math.prod(shape[1:])}


def _agrees(moments: Moments, size: float) -> bool:
    if not moments.gain or not moments.std:
        return False
    return math.isclose(moments.std, abs(moments.gain) / math.sqrt(size), rel_tol=1e-9)


def _fan(name: str, values: Mapping[str, int]) -> Fan:
    in_numbers = re.sub("|".join(values), lambda found: str(values[found[0]]), name)
    return Fan(name, in_numbers, FANS[name](values))
