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
    """Weights of a kind of layer (``any`` of them), or parameters whose name matches a glob, and their scheme."""

    use: Use
    layers: str | None = None
    params: str | None = None

    def matches(self, slot: Slot) -> bool:
        """Whether the parameter is one that the rule speaks of; a rule with both keys asks for both."""
        names = (slot.name, *slot.ties)
        named = self.params is None or any(fnmatchcase(name, self.params) for name in names)
        kinds = LAYERS if self.layers == "any" else (self.layers,)
        return named and (self.layers is None or slot.kind in kinds)


@dataclass(frozen=True)
class Recipe:
    """``rules`` first, then ``others`` for weights, ``bias`` for biases, ``fallback`` for what cannot be filled.

    ``scheme`` is ``rules``, or the name of a plain scheme. That is ``others`` of a recipe without rules, which
    leaves out parameters of layers that winit does not know; where the user gave ``others:`` for these, it is the
    only rule. ``bias`` is ``None`` where the user said nothing: zeros, except beside weights of a scheme with biases
    of its own.
    """

    scheme: str
    rules: tuple[Rule, ...] = ()
    others: Use | None = None
    bias: Use | None = None
    fallback: Use | None = None

    @property
    def plain(self) -> bool:
        """Whether it is one scheme for all weights."""
        return self.scheme != "rules"

    @property
    def main(self) -> Use | None:
        """The one scheme of a plain recipe."""
        if not self.plain:
            return None
        return self.rules[0].use if self.rules else self.others


__all__ = ["LAYERS", "Recipe", "Rule", "Use"]
