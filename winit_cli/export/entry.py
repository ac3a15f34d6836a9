"""The entry of ``schemes:`` behind a label. It is read alone: neither the data nor a user's own model is needed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from winit_cli.config import Document, SchemeEntry
from winit_cli.config.entries import EntryReader
from winit_cli.config.faults import Faults
from winit_cli.errors import UsageError
from winit_cli.export.stored import StoredRun
from winit_cli.models import MODELS


def entry_of(stored: StoredRun, label: str) -> SchemeEntry:
    """The resolved entry of a label of the run.

    Raises:
        UsageError: it has a scheme that winit does not know, from a plug-in say.
    """
    schemes = stored.facts["schemes"]
    variant, index = divmod(stored.labels.index(label), len(schemes))  # labels stand variant by variant
    faults = Faults(Document(dict(stored.facts), str(stored.path / "config.yaml")))
    reader = EntryReader(faults, _activation(stored.facts, variant))
    entry = reader.entry(schemes[index], ("schemes", index))
    if entry is None or faults.found:
        raise UsageError(
            f"label {label}: {faults.found[0].message}; schemes from elsewhere cannot be written as Python that needs "
            "torch alone: use --to safetensors, with --plugin FILE.py"
        )
    return entry


def _activation(facts: Mapping[str, Any], variant: int) -> str | None:
    """What ``gain: auto`` means in a variant; ``None`` for a model that is not winit's."""
    model = dict(facts["model"])
    combinations = list(itertools.product(*facts["vary"].values()))
    for key, value in zip(facts["vary"], combinations[variant], strict=True):
        section, _, option = key.partition(".")
        if section == "model":
            model[option] = value
    row = MODELS.get(model["name"])
    return None if row is None else row.activation(model)
