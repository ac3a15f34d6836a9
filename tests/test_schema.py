"""`winit schema`: it accepts what winit accepts and refuses what winit refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import SMALL, winit

from winit_cli.cli.sources import packaged
from winit_cli.cli.starter import STARTER
from winit_cli.config import parse
from winit_cli.config.json_schema import json_schema

TYPES = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}
LIMITS = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
}
LENGTHS = {"minItems": lambda size, bound: size >= bound, "maxItems": lambda size, bound: size <= bound}
KNOWN = {
    *("$schema", "$ref", "$defs", "title", "description", "default", "type", "properties", "required"),
    *("additionalProperties", "items", "prefixItems", "enum", "const", "anyOf", "oneOf", "pattern", "propertyNames"),
    *LIMITS,
    *LENGTHS,
}
SCHEMA = json_schema()


def accepts(schema: Any, value: Any) -> bool:
    """Whether a value fits a schema, for the keywords in ``KNOWN``."""
    if isinstance(schema, bool):
        return schema
    assert schema.keys() <= KNOWN, schema.keys() - KNOWN
    if "$ref" in schema:
        return accepts(SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")], value)
    if "type" in schema and not TYPES[schema["type"]](value):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    if "anyOf" in schema and not any(accepts(choice, value) for choice in schema["anyOf"]):
        return False
    if "oneOf" in schema and sum(accepts(choice, value) for choice in schema["oneOf"]) != 1:
        return False
    return _within(schema, value)


def _within(schema: Mapping[str, Any], value: Any) -> bool:
    if isinstance(value, str):
        return re.search(schema.get("pattern", ""), value) is not None
    if isinstance(value, list):
        fixed = schema.get("prefixItems", [])
        inside = [
            *zip(fixed, value, strict=False),
            *((schema.get("items", True), item) for item in value[len(fixed) :]),
        ]
        sizes = all(holds(len(value), schema[key]) for key, holds in LENGTHS.items() if key in schema)
        return sizes and all(accepts(part, item) for part, item in inside)
    if isinstance(value, dict):
        known, other = schema.get("properties", {}), schema.get("additionalProperties", True)
        complete = set(schema.get("required", ())) <= value.keys()
        named = all(accepts(schema.get("propertyNames", True), key) for key in value)
        return complete and named and all(accepts(known.get(key, other), inner) for key, inner in value.items())
    if isinstance(value, int | float):
        return all(holds(value, schema[key]) for key, holds in LIMITS.items() if key in schema)
    return True


def test_the_command_prints_it() -> None:
    result = winit("schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == SCHEMA
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_shipped_copy_is_the_same() -> None:
    folder = packaged()["mnist"].parent
    assert json.loads((folder / "winit.schema.json").read_text()) == SCHEMA, "run: make schema, or winit schema > …"


@pytest.mark.parametrize("name", packaged())
def test_a_shipped_config_is_accepted_and_says_where_its_schema_is(name: str) -> None:
    text = packaged()[name].read_text()
    assert accepts(SCHEMA, parse(text, name).data)
    above = "../" if "/" in name else ""
    assert text.startswith(f"# yaml-language-server: $schema={above}winit.schema.json\n")


def test_the_starter_is_accepted() -> None:
    assert accepts(SCHEMA, yaml.safe_load(STARTER.format(name="x")))


RULES = [{"params": "head.*", "scheme": "zeros"}, {"layers": "linear", "scheme": "normal", "std": 0.1}]
GOOD: list[dict[str, Any]] = [
    {},
    {"model": "mlp", "data": "mnist"},
    {"schemes": ["he", {"scheme": "xavier", "gain": "auto", "bias": "default", "fallback": "zeros"}]},
    {"schemes": [{"label": "r", "rules": RULES, "others": "as_built", "bias": {"scheme": "constant", "val": 1}}]},
    {"seeds": [3, 1], "train": {"lr": 0.1, "betas": [0.9, 0.99], "optimizer": "adam", "epochs": 1}},
    {"train": {"momentum": 0.9, "nesterov": True}},
    {"vary": {"model.depth": [1, 2]}, "measure": {"every": 1}, "claims": [], "baseline": "zeros"},
    {"claims": ["zeros stuck", {"expect": "zeros < 2", "metric": "loss_area", "lr": 0.1}]},
    {"data": {"name": "npz", "path": "x.npz", "normalize": "per_feature"}},
]


@pytest.mark.parametrize("changes", GOOD, ids=lambda value: ",".join(value) or "small")
def test_what_winit_accepts_is_accepted(changes: dict[str, Any]) -> None:
    assert accepts(SCHEMA, SMALL | changes)


BAD: list[dict[str, Any]] = [
    {"trian": {}},
    {"name": 5},
    {"model": "vgg"},
    {"model": {"name": "mlp", "widht": 3}},
    {"model": {"name": "mlp", "width": 0}},
    {"model": {"name": "cnn", "depth": 3}},
    {"data": {"name": "npz"}},
    {"schemes": []},
    {"schemes": "zeros"},
    {"schemes": ["kaiming_norml"]},
    {"schemes": [{"scheme": "zeros", "gain": 2}]},
    {"schemes": [{"scheme": "constant"}]},
    {"schemes": [{"scheme": "zeros", "label": "../x"}]},
    {"schemes": [{"rules": RULES}]},
    {"schemes": [{"label": "r", "rules": [{"layers": "lin", "scheme": "zeros"}]}]},
    {"train": {"stpes": 3}},
    {"train": {"steps": -5}},
    {"train": {"lr": 0}},
    {"train": {"nesterov": "yes"}},
    {"train": {"lr": []}},
    {"seeds": "ten"},
    {"seeds": 0},
    {"seeds": [-1]},
    {"measure": {"evry": 1}},
    {"claims": "zeros stuck"},
    {"claims": [{"better": "zeros"}]},
    {"claims": [{"expect": "zeros stuck", "lr": [0.1]}]},
    {"engine": "fast"},
    {"precision": "fp16"},
]


@pytest.mark.parametrize("changes", BAD, ids=str)
def test_what_winit_refuses_is_refused(changes: dict[str, Any]) -> None:
    assert not accepts(SCHEMA, SMALL | changes)


@pytest.mark.parametrize("key", ["model", "data", "schemes"])
def test_what_is_required_is_required(key: str) -> None:
    assert not accepts(SCHEMA, {name: value for name, value in SMALL.items() if name != key})


def test_every_level_refuses_unknown_keys() -> None:
    def objects(schema: Any) -> Any:
        if isinstance(schema, dict):
            if schema.get("type") == "object":
                yield schema
            for inner in schema.values():
                yield from objects(inner)
        elif isinstance(schema, list):
            for inner in schema:
                yield from objects(inner)

    found = list(objects(SCHEMA))
    assert len(found) > 50
    assert all(schema["additionalProperties"] is not True for schema in found)


def test_the_folder_of_the_shipped_configs_holds_nothing_else() -> None:
    folders = {path.parent for path in packaged().values()}
    assert len(folders) == 2
    there = {path for folder in folders for path in Path(folder).iterdir()}
    assert {path.suffix for path in there - folders} <= {".yaml", ".json"}
