"""Entries of ``schemes:``: from the YAML's spellings to recipes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from winit_cli.config.document import shown
from winit_cli.config.faults import Faults
from winit_cli.config.plain_yaml import Path_
from winit_cli.config.schema import LABEL, RESERVED, SchemeEntry
from winit_cli.config.uses import UseReader
from winit_cli.errors import brief, known
from winit_cli.schemes.recipe import DEPTHS, PARTS, WHERE, Recipe, Rule, Use

SIDES = ("others", "bias", "fallback")
RECIPE_KEYS = ("label", "rules", *SIDES)
ONE_SCHEME = ("label", *SIDES, *PARTS, "forget_bias")  # keys beside a scheme and its options


VARIED = re.compile(r"@[^@=]+=")  # what vary: adds to a label; reports group by it


class EntryReader:
    """Reads entries for a model with a given activation, the meaning of ``gain: auto`` (``None``: unknown)."""

    def __init__(self, faults: Faults, activation: str | None) -> None:
        self.faults = faults
        self.use = UseReader(faults, activation).use

    def entry(self, raw: Any, path: Path_) -> SchemeEntry | None:
        """One entry: a scheme's name, or a mapping with ``scheme`` or ``rules``."""
        if isinstance(raw, str):
            raw = {"scheme": raw}
        if not isinstance(raw, Mapping):
            wanted = "expected the name of a scheme, or a mapping with scheme: or rules:"
            self.faults.add(path, f"{wanted}, got {shown(raw)}")
            return None
        label = self._label(raw, path)
        parts = self._parts(raw, path)
        return None if parts is None or label is None else SchemeEntry(label=label, recipe=parts[0], flat=parts[1])

    def _label(self, raw: Mapping[str, Any], path: Path_) -> str | None:
        if "label" not in raw:
            if "rules" in raw:
                self.faults.add(path, "an entry with rules: needs a label:")
            return raw["scheme"].strip() if isinstance(raw.get("scheme"), str) and "rules" not in raw else None
        label = raw["label"]
        if isinstance(label, str) and RESERVED.match(label):
            self.faults.add((*path, "label"), f"label {shown(label)} is a name that Windows reserves; choose another")
            return None
        if not isinstance(label, str) or not LABEL.fullmatch(label):
            allowed = "text of at most 64 letters, digits, spaces and . _ + @ = , - that begins with a letter or digit"
            self.faults.add((*path, "label"), f"a label must be {allowed}, got {shown(label)}")
            return None
        if VARIED.search(label):
            self.faults.add((*path, "label"), f"label {shown(label)} looks like a varied value (@key=value)")
            return None
        return label

    def _parts(self, raw: Mapping[str, Any], path: Path_) -> tuple[Recipe, dict[str, Any]] | None:
        sides = {key: self._side(raw, key, path) for key in SIDES}
        spelled = {key: side[1] for key, side in sides.items() if side is not None}
        others, bias, fallback = (None if side is None else side[0] for side in sides.values())
        if "rules" in raw:
            main = {key: value for key, value in raw.items() if key not in RECIPE_KEYS}
            rules = self._rules(raw["rules"], main, path)
            if rules is None:
                return None
            recipe = Recipe("rules", tuple(rule for rule, _ in rules), others, bias, fallback)
            return recipe, {"label": raw.get("label"), "rules": [text for _, text in rules], **spelled}
        use = self.use({key: value for key, value in raw.items() if key not in ONE_SCHEME}, path, ONE_SCHEME)
        parts = {key: part for key in PARTS if (part := self._side(raw, key, path)) is not None}
        if use is None:
            return None
        given = {"label": raw.get("label", raw["scheme"]), **use[1], **spelled}
        given |= {key: part[1] for key, part in parts.items()}
        if raw.get("forget_bias") is not None:
            bias = self._forget_bias(raw["forget_bias"], use[0], bias, (*path, "forget_bias"))
            given["forget_bias"] = raw["forget_bias"]
        rules_of = tuple(Rule(part[0], layers="recurrent", params=PARTS[key]) for key, part in parts.items())
        if not rules_of and others is None:
            return Recipe(use[0].scheme, (), use[0], bias, fallback), given
        # others: are for the parameters of layers that winit does not know
        return Recipe(use[0].scheme, (*rules_of, Rule(use[0], layers="any")), others, bias, fallback), given

    def _forget_bias(self, value: Any, main: Use, bias: Use | None, path: Path_) -> Use | None:
        """The biases of the entry with those of the forget gates set."""
        rest = (bias or main).scheme
        if bias is not None and rest not in ("zeros", "pytorch_default"):
            self.faults.add(path, f"forget_bias goes with bias: zeros or bias: default, not with bias: {rest}")
            return None
        rest = "default" if rest == "pytorch_default" else "zeros"
        use = self.use({"scheme": "forget_bias", "value": value, "rest": rest}, path)
        return None if use is None else use[0]

    def _rules(self, rules: Any, main: Mapping[str, Any], path: Path_) -> list[tuple[Rule, dict[str, Any]]] | None:
        for key in main:
            self.faults.add((*path, key), f"'{brief(key)}' cannot stand beside rules:; {known(key, RECIPE_KEYS)}")
        if not isinstance(rules, list) or not rules:
            self.faults.add((*path, "rules"), "expected a list of rules like {layers: linear, scheme: kaiming_normal}")
            return None
        read = [self._rule(rule, (*path, "rules", index)) for index, rule in enumerate(rules)]
        return [rule for rule in read if rule is not None]

    def _rule(self, raw: Any, path: Path_) -> tuple[Rule, dict[str, Any]] | None:
        if not isinstance(raw, Mapping) or not {"params", "layers"} & raw.keys():
            wanted = "a rule is a mapping with params: GLOB or layers: KIND, and scheme:"
            self.faults.add(path, f"{wanted}, got {shown(raw)}")
            return None
        layers, params = raw.get("layers"), raw.get("params")
        layers = None if layers is None else str(layers)
        if layers is not None and layers not in WHERE and not DEPTHS.fullmatch(layers):
            allowed = f"{known(layers, WHERE)}; by depth: layers: 2, or layers: 2-5"
            self.faults.add((*path, "layers"), f"unknown kind of layer {shown(raw['layers'])}; {allowed}")
        if params is not None and not isinstance(params, str):
            self.faults.add((*path, "params"), f"expected a pattern like 'head.*', got {shown(params)}")
            return None
        main = {key: value for key, value in raw.items() if key not in ("params", "layers")}
        use = self.use(main, path, ("params", "layers"))
        if use is None:
            return None
        which = {key: raw[key] for key in ("params", "layers") if key in raw}
        return Rule(use[0], layers=layers, params=params), which | use[1]

    def _side(self, raw: Mapping[str, Any], key: str, path: Path_) -> tuple[Use, Any] | None:
        if raw.get(key) is None:
            return None
        value = raw[key] if isinstance(raw[key], Mapping) else {"scheme": raw[key]}
        return self.use(value, (*path, key))
