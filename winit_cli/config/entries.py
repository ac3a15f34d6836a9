"""Entries of ``schemes:``: from the YAML's spellings to recipes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from winit_cli.config.document import shown
from winit_cli.config.faults import Faults
from winit_cli.config.plain_yaml import Path_
from winit_cli.config.schema import LABEL, RESERVED, SchemeEntry
from winit_cli.errors import brief, known
from winit_cli.schemes import SCHEMES, Scheme
from winit_cli.schemes.recipe import LAYERS, Recipe, Rule, Use
from winit_cli.tables import Strict
from winit_cli.theory.gains import IN_TORCH, gain

RECIPE_KEYS = ("label", "rules", "others", "bias", "fallback")


VARIED = re.compile(r"@[^@=]+=")  # what vary: adds to a label; reports group by it


class EntryReader:
    """Reads entries for a model with a given activation, the meaning of ``gain: auto`` (``None``: unknown)."""

    def __init__(self, faults: Faults, activation: str | None) -> None:
        self.faults = faults
        self.activation = activation

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
        main = {key: value for key, value in raw.items() if key not in RECIPE_KEYS}
        sides = {key: self._side(raw, key, path) for key in ("others", "bias", "fallback")}
        spelled = {key: side[1] for key, side in sides.items() if side is not None}
        others, bias, fallback = (None if side is None else side[0] for side in sides.values())
        if "rules" in raw:
            rules = self._rules(raw["rules"], main, path)
            if rules is None:
                return None
            recipe = Recipe("rules", tuple(rule for rule, _ in rules), others, bias, fallback)
            return recipe, {"label": raw.get("label"), "rules": [text for _, text in rules], **spelled}
        use = self.use(main, path, ("label", "others", "bias", "fallback"))
        if use is None:
            return None
        if others is None:
            recipe = Recipe(use[0].scheme, (), use[0], bias, fallback)
        else:  # for the parameters of layers that winit does not know
            recipe = Recipe(use[0].scheme, (Rule(use[0], layers="any"),), others, bias, fallback)
        return recipe, {"label": raw.get("label", raw["scheme"]), **use[1], **spelled}

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
        if layers is not None and layers not in LAYERS:
            self.faults.add((*path, "layers"), f"unknown kind of layer {shown(layers)}; {known(str(layers), LAYERS)}")
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

    def use(
        self, raw: Mapping[str, Any], path: Path_, beside: tuple[str, ...] = ()
    ) -> tuple[Use, dict[str, Any]] | None:
        """A scheme with options: resolved, and as the YAML spells it with all defaults filled in.

        ``beside`` are the keys that may stand beside the options.
        """
        if "scheme" not in raw:
            self.faults.add(path, f"'scheme' is required; {known('', SCHEMES)}")
            return None
        row = self.faults.row(SCHEMES, raw["scheme"], "scheme", (*path, "scheme"))
        if row is None:
            return None
        given = {key: value for key, value in raw.items() if key != "scheme"}
        model = self._options(row, given, path, beside)
        if model is None:
            return None
        options = model.model_dump()
        wrong = row.check(options)
        if wrong is not None:
            self.faults.add(path, f"{row.name}: {wrong}")
        return Use(row.name, self._resolved(options, path)), {"scheme": row.name, **options}

    def _options(self, row: Scheme, given: dict[str, Any], path: Path_, beside: tuple[str, ...]) -> Strict | None:
        cls = row.options
        for key in [key for key in given if key not in cls.model_fields]:
            names = [*cls.model_fields, "scheme", *beside]
            self.faults.add((*path, key), f"{row.name} has no option '{brief(key)}'; {known(key, names)}")
        return self.faults.model(cls, {k: v for k, v in given.items() if k in cls.model_fields}, path)

    def _resolved(self, options: Mapping[str, Any], path: Path_) -> dict[str, Any]:
        """Replace activations by their gains: ``auto`` is the model's activation."""
        resolved = dict(options)
        for key in ("gain", "nonlinearity"):
            if options.get(key) == "auto" and self.activation is None:
                meant = f"{key}: auto means the model's activation, which this model does not name"
                self.faults.add((*path, key), f"{meant}; name it, e.g. {key}: relu")
                return resolved
        if isinstance(options.get("gain"), str):
            resolved["gain"] = gain(str(self.activation) if options["gain"] == "auto" else options["gain"])
        if options.get("nonlinearity") == "auto":
            resolved["nonlinearity"] = self.activation
            if self.activation not in IN_TORCH:
                self.faults.add(
                    (*path, "nonlinearity"),
                    f"torch has no kaiming gain for '{self.activation}'; {known(str(self.activation), IN_TORCH)}",
                )
        return resolved
