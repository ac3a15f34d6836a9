"""The JSON Schema of the YAML, put together from the same pydantic models and tables that validate it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from winit_cli.claims.entry import Entry
from winit_cli.config.ignore import Ignore
from winit_cli.config.schema import LABEL, SPAN, General, Judging, Measure, Select, Train
from winit_cli.data import DATASETS
from winit_cli.models import MODELS
from winit_cli.schemes import SCHEMES, Scheme
from winit_cli.schemes.recipe import DEPTHS, PARTS, WHERE
from winit_cli.tables import options_of


def json_schema() -> dict[str, Any]:
    """Draft 2020-12; unknown keys are refused at every level, as winit does."""
    general, judging = _properties(General), _properties(Judging)
    names = [name for row in SCHEMES.values() for name in (row.name, *row.aliases)]
    use = {"oneOf": [{"enum": names}, *(_scheme(row, {}) for row in SCHEMES.values())]}
    side = {"$ref": "#/$defs/use"}
    sides = {
        "others": side,
        "bias": side,
        "fallback": side,
        "label": {"type": "string", "pattern": f"^{LABEL.pattern}$"},
    }
    parts = {**dict.fromkeys(PARTS, side), "forget_bias": {"type": "number"}}
    plain = [_scheme(row, sides | parts) for row in SCHEMES.values()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "winit experiment",
        "type": "object",
        "additionalProperties": False,
        "required": ["model", "data", "schemes"],
        "$defs": {"use": use, "claim": _claim()},
        "properties": {
            **general,
            "seeds": SEEDS,
            "model": _named({row.name: row.options for row in MODELS.values()}, MODELS),
            "data": _named({row.name: options_of(row.load) for row in DATASETS.values()}, DATASETS),
            "schemes": _list({"oneOf": [{"enum": names}, *plain, _ruled(side, sides)]}),
            "train": _section(Train) | {"description": Train.__doc__},
            "measure": _section(Measure) | {"description": Measure.__doc__},
            "vary": {"type": "object", "additionalProperties": _list({})},
            "baseline": {"type": "string"},
            **judging,
            "tie_margin": {"anyOf": [{"type": "number", "minimum": 0}, judging["tie_margin"]]},
            "select": _section(Select) | {"description": Select.__doc__},
            "claims": CLAIMS,
            "ignore": _ignore(),
        },
    }


SEED = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": f"^{SPAN.pattern}$"}]}
SEEDS = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "array", "minItems": 1, "items": SEED}]}
DEPTH = ({"type": "integer", "minimum": 1}, {"type": "string", "pattern": f"^{DEPTHS.pattern}$"})
FAN = {"fan": {"enum": ["module", "torch"]}}
CLAIMS = {"type": "array", "items": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/claim"}]}}
# pydantic keeps its own names for bounds that are added to a type which has a validator
BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "items": items}


def _properties(cls: type[BaseModel]) -> dict[str, Any]:
    properties: dict[str, Any] = _standard(cls.model_json_schema()["properties"])
    for value in properties.values():
        value.pop("title", None)
    return properties


def _standard(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {BOUNDS.get(key, key): _standard(value) for key, value in schema.items()}
    return [_standard(item) for item in schema] if isinstance(schema, list) else schema


def _section(cls: type[BaseModel]) -> dict[str, Any]:
    properties = _properties(cls)
    if "lr" in properties:
        one = {"type": "number", "exclusiveMinimum": 0}
        properties["lr"] = {"anyOf": [one, _list(one)]}
    if "seeds" in properties:
        properties["seeds"] = SEEDS
    required = [name for name, field in cls.model_fields.items() if field.is_required()]
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": required}


def _claim() -> dict[str, Any]:
    section = _section(Entry) | {"description": Entry.__doc__}
    section["properties"]["lr"] = {"type": "number", "exclusiveMinimum": 0}
    return section


def _ignore() -> dict[str, Any]:
    section = _section(Ignore) | {"description": Ignore.__doc__}
    text = {"type": "string"}
    section["properties"]["label"] = {"anyOf": [text, _list(text)]}
    return {"type": "array", "items": {"anyOf": [section["properties"]["rule"], section]}}


def _named(options: Mapping[str, type[BaseModel]], rows: Mapping[str, Any]) -> dict[str, Any]:
    """A name alone, or a mapping with the name and its options."""
    names = [name for row in rows.values() for name in (row.name, *row.aliases)]
    choices: list[dict[str, Any]] = [{"enum": names}]
    for row in rows.values():
        choices.append(_keyed("name", (row.name, *row.aliases), options[row.name], {}))
    return {"oneOf": choices}


def _scheme(row: Scheme, sides: dict[str, Any]) -> dict[str, Any]:
    return _keyed("scheme", (row.name, *row.aliases), row.options, (FAN if row.sees_layout else {}) | sides)


def _keyed(key: str, names: tuple[str, ...], cls: type[BaseModel], sides: dict[str, Any]) -> dict[str, Any]:
    section = _section(cls)
    section["properties"] = {key: {"enum": list(names)}, **section["properties"], **sides}
    section["required"] = [key, *section["required"]]
    return section


def _ruled(side: dict[str, Any], sides: dict[str, Any]) -> dict[str, Any]:
    which = {"params": {"type": "string"}, "layers": {"anyOf": [{"enum": list(WHERE)}, *DEPTH]}}
    rules = [_scheme(row, which) for row in SCHEMES.values()]
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["label", "rules"],
        "properties": {"rules": _list({"oneOf": rules}), **sides},
    }
