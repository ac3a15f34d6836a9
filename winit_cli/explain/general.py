"""All facts about a scheme: in general, and for one layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from winit_cli.config.document import Document
from winit_cli.config.entries import EntryReader
from winit_cli.config.faults import Faults
from winit_cli.errors import ConfigError, Fault
from winit_cli.explain.critical import caution
from winit_cli.explain.default import default_facts
from winit_cli.explain.gains import activation_facts
from winit_cli.explain.layers import Layer, layer_of
from winit_cli.explain.parameters import Parameter, assignments_of, parameter_of
from winit_cli.explain.signal import signal_facts
from winit_cli.explain.state import embedding_facts, recurrent_facts
from winit_cli.explain.torch_code import code_of, filled
from winit_cli.schemes import SCHEMES, Scheme
from winit_cli.schemes.apply import Assignment
from winit_cli.schemes.recipe import Recipe
from winit_cli.tables import find

BRANCH = "a layer in a branch adds to a signal that passes it by; winit probe measures what becomes of it"


def scheme_facts(name: str, activation: str) -> dict[str, Any]:
    """A scheme in general, with the defaults of its options; one without a default stands as its name.

    Raises:
        UsageError: the scheme or the activation is not known.
    """
    row = find(SCHEMES, name, "scheme")
    fields = row.options.model_fields.items()
    options = {name: name if field.is_required() else field.default for name, field in fields}
    return _of_row(row, options, options, activation) | {"activation": activation_facts(activation)}


def layer_facts(entry: Mapping[str, Any], layer: str | None, activation: str) -> dict[str, Any]:
    """An entry of ``schemes:`` (``{"scheme": "normal", "std": 0.1}``), and what it does to a layer.

    Raises:
        UsageError: the scheme, its options, the layer or the activation is at fault.
    """
    about = activation_facts(activation)
    row = find(SCHEMES, entry["scheme"], "scheme")
    recipe, given = _read(entry, activation)
    use = recipe.main
    assert use is not None
    facts = _of_row(row, given, use.options, activation) | {"activation": about}
    return facts if layer is None else facts | _of_layer(row, recipe, given, layer_of(layer), activation)


def _read(entry: Mapping[str, Any], activation: str) -> tuple[Recipe, dict[str, Any]]:
    """The recipe with ``auto`` resolved, and its options as the user wrote them."""
    faults = Faults(Document({}, str(entry["scheme"])))
    read = EntryReader(faults, activation).entry(entry, ())
    if faults.found:
        raise ConfigError([Fault("" if f.where in f.message else f.where, f.message) for f in faults.found])
    assert read is not None
    return read.recipe, {key: value for key, value in read.flat.items() if key not in ("scheme", "label")}


def _of_row(row: Scheme, given: Mapping[str, Any], options: Mapping[str, Any], activation: str) -> dict[str, Any]:
    return {
        "name": row.name,
        "aliases": list(row.aliases),
        "family": row.family,
        "caution": caution(row.name, options, activation),
        "summary": row.summary,
        "formula": row.formula,
        "keeps": row.keeps,
        "paper": row.paper,
        "torch": filled(row.torch_call, options),
        "fills": row.applies_to,
        "options": dict(given),
        "pitfalls": list(row.pitfalls),
    }


def _of_layer(row: Scheme, recipe: Recipe, given: Mapping[str, Any], layer: Layer, activation: str) -> dict[str, Any]:
    assignments, taken_for = assignments_of(recipe, layer)
    parameters = [
        parameter_of(one, layer, _given(one, recipe, given), activation, is_chosen=row.choose is not None)
        for one in assignments
    ]
    facts = {
        "layer": str(layer),
        "taken_for": taken_for,
        "parameters": [asdict(parameter) for parameter in parameters],
        "code": code_of(layer, assignments, [parameter.torch for parameter in parameters]),
        "signal": {"sentence": BRANCH}
        if assignments[0].slot.branch
        else _signal(recipe, layer, parameters, activation),
    }
    return facts | ({"default": default_facts(layer, parameters, activation)} if row.name == "pytorch_default" else {})


def _signal(recipe: Recipe, layer: Layer, parameters: list[Parameter], activation: str) -> dict[str, Any]:
    if layer.kind == "embedding":
        return embedding_facts(parameters[0])
    if layer.is_recurrent:
        return recurrent_facts(layer, parameters)
    square = layer.square(activation)
    of_square = [parameter_of(one, square, {}, activation) for one in assignments_of(recipe, square)[0]]
    return signal_facts(activation, layer, parameters, of_square)


def _given(assignment: Assignment, recipe: Recipe, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options as the user wrote them, where they are of the scheme that fills the parameter."""
    return given if assignment.use == recipe.main else {}
