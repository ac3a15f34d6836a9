"""A scheme with its options, wherever an entry of ``schemes:`` names one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from winit_cli.config.document import shown
from winit_cli.config.faults import Faults
from winit_cli.config.plain_yaml import Path_
from winit_cli.errors import brief, known
from winit_cli.schemes import SCHEMES, Scheme
from winit_cli.schemes.recipe import Use
from winit_cli.tables import Strict
from winit_cli.theory.activations import ACTIVATIONS
from winit_cli.theory.gains import IN_TORCH, gain, integrated

FANS = ("module", "torch")
TORCHS = {"gain": "nonlinearity", "nonlinearity": "gain"}  # what kaiming takes in place of xavier's gain, and back


class UseReader:
    """Reads schemes for a model with a given activation, the meaning of ``gain: auto`` (``None``: unknown)."""

    def __init__(self, faults: Faults, activation: str | None) -> None:
        self.faults = faults
        self.activation = activation

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
        fan = self._fan(given.pop("fan", "module"), path) if row.sees_layout else {}
        model = self._options(row, given, path, beside)
        if model is None:
            return None
        options = model.model_dump()
        resolved = self._resolved(row, options, path)
        wrong = row.check(resolved) if "auto" not in resolved.values() else None
        if wrong is not None:
            self.faults.add(path, f"{row.name}: {wrong}")
        return Use(row.name, resolved | fan), {"scheme": row.name, **options, **fan}

    def _fan(self, given: Any, path: Path_) -> dict[str, str]:
        """``fan: torch`` where it is given; ``fan: module`` is how it is without."""
        if given not in FANS:
            self.faults.add((*path, "fan"), f"expected {' or '.join(FANS)}, got {shown(given)}")
        return {"fan": "torch"} if given == "torch" else {}

    def _options(self, row: Scheme, given: dict[str, Any], path: Path_, beside: tuple[str, ...]) -> Strict | None:
        cls = row.options
        for key in [key for key in given if key not in cls.model_fields]:
            names = [*cls.model_fields, "scheme", *(["fan"] if row.sees_layout else []), *beside]
            meant = TORCHS[key] if TORCHS.get(key) in names else key
            self.faults.add((*path, key), f"{row.name} has no option '{brief(key)}'; {known(meant, names)}")
        return self.faults.model(cls, {k: v for k, v in given.items() if k in cls.model_fields}, path)

    def _resolved(self, row: Scheme, options: Mapping[str, Any], path: Path_) -> dict[str, Any]:
        """Replace activations by their gains: ``auto`` is the model's activation."""
        resolved = dict(options)
        for key in ("gain", "nonlinearity", "activation"):
            if options.get(key) in ("auto", "integrated") and self.activation is None:
                meant = f"{key}: {options[key]} means the model's activation, which this model does not name"
                names = ("relu", *ACTIVATIONS)
                fitting = next((name for name in names if row.check({**options, key: name}) is None), names[0])
                self.faults.add((*path, key), f"{meant}; name it, e.g. {key}: {fitting}")
                return resolved
        if isinstance(options.get("gain"), str):
            resolved["gain"] = self._gain(options["gain"])
        if options.get("activation") == "auto":
            resolved["activation"] = self.activation
        if options.get("nonlinearity") == "auto":
            resolved["nonlinearity"] = self.activation
            if self.activation not in IN_TORCH:
                self.faults.add(
                    (*path, "nonlinearity"),
                    f"torch has no kaiming gain for '{self.activation}'; {known(str(self.activation), IN_TORCH)}",
                )
        return resolved

    def _gain(self, name: str) -> float:
        if name == "integrated":
            return integrated(str(self.activation))
        return gain(str(self.activation) if name == "auto" else name)
