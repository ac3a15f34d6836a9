"""A recipe: which scheme fills which parameter. What one entry of ``schemes:`` in the YAML amounts to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from winit_cli.schemes.slots import LAYERS, Slot

WHERE = (*LAYERS, "norm", "first", "head", "last")  # what a rule may call layers, beside their positions
PARTS = {"recurrent": "*weight_hh*", "input": "*weight_ih*"}  # keys of an entry, and the recurrent weights they mean
# keys of an entry or a rule, which no option of a scheme may be called
ENTRY_KEYS = ("scheme", "label", "rules", "others", "bias", "fallback", *PARTS, "forget_bias", "layers")
ENTRY_KEYS += ("params", "fan")
DEPTHS = re.compile(r"([1-9][0-9]{0,5})(?:-([1-9][0-9]{0,5}))?")


@dataclass(frozen=True)
class Use:
    """A scheme's name with the values of all its options.

    Among them may be ``fan: torch``, which any scheme takes: the parameter is one block, as torch lays it out.
    """

    scheme: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_packed(self) -> bool:
        """Whether the parameter is filled as one block, with torch's own fans."""
        return self.options.get("fan") == "torch"

    @property
    def arguments(self) -> dict[str, Any]:
        """The options of the scheme itself."""
        return {key: value for key, value in self.options.items() if key != "fan"}


@dataclass(frozen=True)
class Rule:
    """Weights of layers, or parameters whose name matches a glob, and their scheme.

    ``layers`` is a kind of layer (``any`` of them, or ``norm``), a place (first, head, last), or positions in
    the model, ``3`` or ``2-5``.
    """

    use: Use
    layers: str | None = None
    params: str | None = None

    def matches(self, slot: Slot) -> bool:
        """Whether the parameter is one that the rule speaks of; a rule with both keys asks for both."""
        names = (slot.name, *slot.ties)
        named = self.params is None or any(fnmatchcase(name, self.params) for name in names)
        return named and (self.layers is None or _is_of(slot, self.layers))


def _is_of(slot: Slot, layers: str) -> bool:
    """Whether the parameter is a weight of such layers."""
    if layers == "norm":
        return slot.kind == "norm" and "bias" not in slot.local
    if slot.kind not in LAYERS:
        return False
    found = DEPTHS.fullmatch(layers)
    if found:
        return any(int(found[1]) <= depth <= int(found[2] or found[1]) for depth in slot.depths)
    return layers in ("any", slot.kind, *slot.places)


@dataclass(frozen=True)
class Recipe:
    """``rules`` first, then ``others`` for weights, ``bias`` for biases, ``fallback`` for what cannot be filled.

    ``scheme`` is ``rules``, or the name of a plain scheme. That is ``others`` of a recipe without rules, which
    leaves out parameters of layers that winit does not know; where the user gave ``others:`` for these, it is the
    only rule. A plain scheme with ``recurrent:`` or ``input:`` has these as rules before its own. ``bias`` is ``None``
    where the user said nothing: zeros, except beside weights of a scheme that speaks of biases too.
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
        return self.rules[-1].use if self.rules else self.others

    def name_of(self, index: int) -> str:
        """What a rule is called in tables: its number, or the key of the entry that it comes from."""
        if not self.plain:
            return f"rules.{index}"
        glob = self.rules[index].params
        return "scheme" if glob is None else next(key for key, value in PARTS.items() if value == glob)

    @property
    def uses(self) -> list[Use]:
        """All schemes with their options, wherever they stand."""
        given = [*(rule.use for rule in self.rules), self.others, self.bias, self.fallback]
        return [use for use in given if use is not None]


__all__ = ["DEPTHS", "ENTRY_KEYS", "LAYERS", "PARTS", "WHERE", "Recipe", "Rule", "Use"]
