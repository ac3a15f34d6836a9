"""Data as JSON can hold it."""

from __future__ import annotations

import math
from typing import Any


def jsonable(value: Any) -> Any:
    """Infinities have no JSON: they become the texts ``inf`` and ``-inf``, as in CSV files. What is not known or does
    not exist is null: None and NaN."""
    if isinstance(value, dict):
        return {key: jsonable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(inner) for inner in value]
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return None if math.isnan(value) else str(float(value))
