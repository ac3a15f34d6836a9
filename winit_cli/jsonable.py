"""Data as JSON can hold it."""

from __future__ import annotations

import math
from typing import Any


def jsonable(value: Any) -> Any:
    """NaN and infinities have no JSON: they become null."""
    if isinstance(value, dict):
        return {key: jsonable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
