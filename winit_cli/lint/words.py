"""Words that several rules share."""

from __future__ import annotations

from winit_cli.lint.filled import Filled
from winit_cli.theory.moments import fans


def std_text(filled: Filled) -> str:
    """``std 0.001 at fan_in 100``."""
    fan_in = fans(filled.slot.block_shape)[0]
    return f"std {filled.moments.std:.3g} at fan_in {fan_in}"
