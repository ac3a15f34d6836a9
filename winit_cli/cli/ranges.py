"""Values of an option that is scanned: ``2,5,10``, or ``1:4:0.1`` from start to stop in steps."""

from __future__ import annotations

import math

from winit_cli.errors import UsageError, brief

MOST = 1000
DIGITS = 12  # behind the point that steps are rounded to: 0.1 + 0.2 is 0.3


def numbers(text: str, option: str, lowest: float, highest: float) -> tuple[float, ...]:
    """The values, each once and in ascending order.

    Raises:
        UsageError: a part is no number or out of range, or there are none or too many.
    """
    found = {number for part in text.split(",") for number in _part(part.strip(), option)}
    if len(found) > MOST:
        raise UsageError(f"{option} {brief(text)}: {len(found):,} values, expected at most {MOST:,}")
    for number in found:
        if not lowest <= number <= highest:
            raise UsageError(f"{option} {brief(text)}: {number:g} is out of range, expected {lowest:g} to {highest:g}")
    return tuple(sorted(found))


def counts(text: str, option: str, highest: int) -> tuple[int, ...]:
    """The same for whole numbers from 1 on."""
    found = numbers(text, option, 1, highest)
    if not all(number.is_integer() for number in found):
        raise UsageError(f"{option} {brief(text)}: expected whole numbers, e.g. {option} 2,5,10")
    return tuple(int(number) for number in found)


def _part(part: str, option: str) -> list[float]:
    ends = part.split(":")
    try:
        values = [float(end) for end in ends]
    except ValueError:
        values = []
    if len(values) not in (1, 3) or not all(map(math.isfinite, values)):
        raise UsageError(f"{option}: '{brief(part)}' is neither a number nor start:stop:step, e.g. 2,5,10 or 1:4:0.1")
    if len(values) == 1:
        return values
    start, stop, step = values
    if step <= 0 or stop < start:
        raise UsageError(f"{option} {brief(part)}: expected start:stop:step with stop above start and a step above 0")
    count = min(MOST + 1, math.floor((stop - start) / step + 1e-9) + 1)
    return [round(start + place * step, DIGITS) for place in range(count)]
