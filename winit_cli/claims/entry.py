"""One entry of ``claims:`` as the YAML has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from winit_cli.tables import PositiveNumber, Strict

Place = tuple[str | int, ...]


class Entry(Strict):
    """A claim: ``expect`` is the statement, ``metric`` and ``lr`` are those of terms that name none."""

    expect: str
    metric: str | None = None
    lr: PositiveNumber | None = None


@dataclass(frozen=True)
class Given:
    """An entry with its place in the list; ``is_bare`` where the statement stands alone there."""

    index: int
    entry: Entry
    is_bare: bool = False

    def path(self, key: str = "expect") -> Place:
        """Where the value of a key stands in the config."""
        return ("claims", self.index) if self.is_bare else ("claims", self.index, key)

    def flat(self) -> dict[str, Any]:
        """As in the YAML."""
        return self.entry.model_dump(exclude_none=True)
