"""The table of schemes as plain rows, for ``winit list`` and ``winit.schemes()``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from winit_cli.schemes.row import Scheme
from winit_cli.tables import spelled_options


def listed(schemes: Iterable[Scheme]) -> list[dict[str, Any]]:
    """One mapping per scheme."""
    return [
        {
            "name": row.name,
            "family": row.family,
            "options": spelled_options(row.options),
            "fills": row.applies_to,
            "layers": ", ".join(row.layers),
            "summary": row.summary,
            "aliases": ", ".join(row.aliases),
        }
        for row in schemes
    ]
