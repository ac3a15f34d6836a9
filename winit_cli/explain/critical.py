"""What is to be said first of a critical point that holds no signal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from winit_cli.theory.critical import critical_point
from winit_cli.theory.meanfield import CRITICAL


def caution(scheme: str, options: Mapping[str, Any], activation: str) -> str | None:
    """Of edge_of_chaos, where dV/dq at q* is above 1 (gelu, silu, mish): gradients keep their size at q* alone."""
    if scheme != "edge_of_chaos":
        return None
    name = activation if options["activation"] == "auto" else options["activation"]
    point = critical_point(name, float(options["sigma_b2"]))
    if point.q_star is None or point.slope is None or point.slope <= 1 + CRITICAL:
        return None
    return (
        f"with {name} no signal stays at the critical point: chi_1 = 1 at q* = {point.q_star:.4g} alone, from where "
        f"a mean square moves away {point.slope:.4g}-fold in every layer; above q* signal and gradient explode"
    )
