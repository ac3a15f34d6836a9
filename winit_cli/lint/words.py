"""Words that several rules share."""

from __future__ import annotations

from winit_cli.lint.filled import Filled
from winit_cli.probe import advice
from winit_cli.theory.moments import fans

SMALLEST, LARGEST = 2.0**-149, 2.0**128  # of single precision: what is below is 0, what is above infinite


def std_text(filled: Filled) -> str:
    """``std 0.001 at fan_in 100``."""
    fan_in = fans(filled.slot.block_shape)[0]
    return f"std {filled.moments.std:.3g} at fan_in {fan_in}"


def is_beyond(ratio: float) -> bool:
    """Whether single precision has no such number."""
    return not SMALLEST <= ratio < LARGEST


def ending(ratio: float, whose: str, where: str) -> str:
    """``to 3e-5 of the input's size at layer 9``, or that it underflows there."""
    if is_beyond(ratio):
        return f"and {'underflows to 0' if ratio < 1 else 'overflows'} {where}"
    return f"to {advice.times(ratio)} {whose} {where}"
