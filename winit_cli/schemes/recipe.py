"""A recipe: which scheme fills which parameter. What one entry of ``schemes:`` in the YAML amounts to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from winit_cli.schemes.slots import LAYERS, Slot


@dataclass(frozen=True)
class Use:
    """A scheme's name with the values of all its options."""

    scheme: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """Weights of a kind of layer, or parameters whose name matches a glob, and the scheme for them."""

    use: Use
    layers: str | None = None
    params: str | None = None

    def matches(self, slot: Slot) -> bool:
        """Whether the parameter is one that the rule speaks of; a rule with both keys asks for both."""
        named = self.params is None or fnmatchcase(slot.name, self.params)
        return named and (self.layers is None or slot.kind == self.layers)


@dataclass(frozen=True)
class Recipe:
    """``rules`` first, then ``others`` for weights, ``bias`` for biases, ``fallback`` for what cannot be filled.

    A plain scheme is a recipe without rules whose ``others`` is that scheme. ``bias`` is ``None`` where the
    user said nothing: zeros, except beside weights of a scheme with biases of its own.
    """

    scheme: str
    rules: tuple[Rule, ...] = ()
    others: Use | None = None
    bias: Use | None = None
    fallback: Use | None = None


__all__ = ["LAYERS", "Recipe", "Rule", "Use"]
