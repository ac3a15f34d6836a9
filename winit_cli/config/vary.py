"""Variants of an experiment: every combination of the values in ``vary:``."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from winit_cli.claims.claim import Claim
from winit_cli.config.claims import claims_of
from winit_cli.config.document import Document, flow_text, shown
from winit_cli.config.faults import Faults
from winit_cli.config.ignore import Ignore, ignored_of
from winit_cli.config.override import assign
from winit_cli.config.resolve import experiment
from winit_cli.config.schema import LABEL, Experiment, slug
from winit_cli.errors import brief

MAX_VARIANTS = 1000
SECTIONS = ("model", "data", "train")
ELSEWHERE = {
    "train.lr": "list the rates in train.lr",
    "train.epochs": "vary train.steps",
    "model.name": "its options differ from model to model; write one config for each",
    "data.name": "its options differ from data set to data set; write one config for each",
}


@dataclass(frozen=True)
class Variant:
    """The experiment with one combination of the varied values, what they add to its labels, and its document."""

    suffix: str
    experiment: Experiment
    document: Document


@dataclass(frozen=True)
class Config:
    """A resolved document: its variants in the order of ``vary:`` (one with an empty suffix without it), its claims,
    and the findings of ``winit check`` that are meant."""

    base: Experiment
    vary: Mapping[str, tuple[Any, ...]]
    variants: tuple[Variant, ...]
    claims: tuple[Claim, ...] = ()
    ignore: tuple[Ignore, ...] = ()


def resolve(document: Document) -> Config:
    """Resolve a document and all its variants.

    Raises:
        ConfigError: with every fault found, each at its place.
    """
    faults = Faults(document)
    ignore = ignored_of(document, faults)
    base = experiment(document, faults)
    before = len(faults.found)
    axes = _axes(document.data.get("vary"), faults)
    combinations = _combinations(axes) if len(faults.found) == before else []
    claims = claims_of(document, base, list(map(_suffix, combinations)), list(axes), faults) if combinations else ()
    faults.raise_any()
    assert base is not None
    found = [_variant(document, values, faults) for values in combinations]
    variants = tuple(variant for variant in found if variant is not None)
    _refuse_twins(variants, faults)
    faults.raise_any()
    return Config(base, axes, variants, claims, ignore)


def _combinations(axes: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _axes(vary: Any, faults: Faults) -> dict[str, tuple[Any, ...]]:
    if vary is None:
        return {}
    if not isinstance(vary, Mapping):
        faults.add(("vary",), f"expected a mapping like {{model.depth: [10, 30]}}, got {shown(vary)}")
        return {}
    axes = {}
    for key, values in vary.items():
        wrong = _wrong_axis(key, values)
        if wrong is None:
            axes[key] = tuple(values)
        else:
            faults.add(("vary", key), wrong)
    count = math.prod(len(values) for values in axes.values())
    if count > MAX_VARIANTS:
        faults.add(("vary",), f"{count:,} combinations of values, expected at most {MAX_VARIANTS:,}; vary fewer")
    return axes


def _wrong_axis(key: str, values: Any) -> str | None:
    if key in ELSEWHERE:
        return f"cannot be varied; {ELSEWHERE[key]}"
    if key.count(".") != 1 or key.split(".", maxsplit=1)[0] not in SECTIONS:
        return "only options of model, data and train can be varied, e.g. model.depth"
    if not isinstance(values, list) or not values:
        return f"expected a list of values, got {shown(values)}"
    if len({flow_text(value) for value in values}) < len(values):
        return f"a value is given twice in {shown(values)}"
    return None


def _variant(document: Document, values: Mapping[str, Any], faults: Faults) -> Variant | None:
    varied = Document(copy.deepcopy(document.data), document.source, dict(document.places))
    for key, value in values.items():
        assign(varied, tuple(key.split(".")), value, document.where(("vary", key)))
    faults.document = varied
    faults.context = (
        f" (where {', '.join(f'{key} is {shown(value)}' for key, value in values.items())})" if values else ""
    )
    resolved = experiment(varied, faults)
    suffix = _suffix(values)
    if resolved is not None:
        _check_labels(resolved, suffix, faults)
    return None if resolved is None else Variant(suffix, resolved, varied)


def _suffix(values: Mapping[str, Any]) -> str:
    """``@depth=22,width=64``; the values of a list are joined by +."""
    texts = {
        key: "+".join(map(_text, value)) if isinstance(value, list) else _text(value) for key, value in values.items()
    }
    return "@" + ",".join(f"{key.split('.')[1]}={text}" for key, text in texts.items()) if values else ""


def _text(value: Any) -> str:
    """As YAML spells it: ``true``, ``null``."""
    return flow_text(value) if value is None or isinstance(value, bool) else str(value)


def _check_labels(resolved: Experiment, suffix: str, faults: Faults) -> None:
    for index, entry in enumerate(resolved.schemes):
        if not LABEL.fullmatch(entry.label + suffix):
            faults.add(
                ("schemes", index),
                f"label '{brief(entry.label + suffix)}' is over 64 characters or has others than "
                "letters, digits, spaces and . _ + @ = , -; shorten label:",
            )


def _refuse_twins(variants: Sequence[Variant], faults: Faults) -> None:
    """Values that differ, but not in a label (``1`` and ``-1`` share a file name)."""
    faults.context = ""
    seen: dict[str, str] = {}
    for variant in variants:
        for entry in variant.experiment.schemes:
            label = entry.label + variant.suffix
            if slug(label) in seen:
                shared = f"the labels '{brief(seen[slug(label)])}' and '{brief(label)}' share one file name"
                faults.add(("vary",), f"{shared}; vary other values, or change the label: of one")
                return
            seen[slug(label)] = label
