"""Find a config: a file, or the name of one that ships with winit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from winit_cli.errors import UsageError, known

if TYPE_CHECKING:
    from winit_cli.config import Config, Document


def packaged() -> dict[str, Path]:
    """The configs that ship with winit, by name (``mnist``, ``papers/he2015``): inside the package, or beside it in a
    source checkout."""
    inside = Path(__file__).parent.parent / "configs"
    folder = inside if inside.is_dir() else Path(__file__).parent.parent.parent / "configs"
    found = [*sorted(folder.glob("*.yaml")), *sorted(folder.glob("papers/*.yaml"))]
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}


@dataclass(frozen=True)
class Changes:
    """What a command line changes of a config: ``-s`` settings, and options that stand for one."""

    settings: list[str]
    engine: str | None = None
    model: str | None = None
    loss: str | None = None


def load(text: str, changes: Changes) -> Config:
    """Resolve the config that a command-line argument names, with what the command line changes.

    Raises:
        UsageError, ConfigError: it does not exist or has faults.
    """
    from winit_cli.config import read

    path = Path(text)
    shipped = packaged()
    is_name = len(path.parts) == 1 or (len(path.parts) == 2 and path.parts[0].startswith("paper"))
    if not os.path.isfile(text) and path.suffix not in (".yaml", ".yml") and is_name:  # noqa: PTH113
        if text not in shipped and not os.path.isdir(text):  # noqa: PTH112
            raise UsageError(f"no file '{text}' and no packaged config of that name; {known(text, shipped)}")
        path = shipped.get(text, path)
    return resolve(read(path), changes)


def resolve(document: Document, changes: Changes) -> Config:
    """Resolve a document with what the command line changes."""
    from winit_cli.config import override
    from winit_cli.config import resolve as resolve_document
    from winit_cli.config.override import assign

    model = document.data.get("model")
    same_model = isinstance(model, dict) and model.get("name") == changes.model  # which keeps its options
    for option in ("engine", "model", "loss"):
        value = getattr(changes, option)
        if value is not None and not (option == "model" and same_model):
            assign(document, ("train", "loss") if option == "loss" else (option,), value, f"--{option} {value}")
    for setting in changes.settings:
        override(document, setting)
    return resolve_document(document)


def spoken_notes(config: Config) -> list[str]:
    """What is said aloud of a config: bare names that mean torch's defaults."""
    bare = {"uniform": "U(0, 1)", "normal": "N(0, 1)"}
    notes = []
    for entry, given in zip(config.base.schemes, config.variants[0].document.data["schemes"], strict=True):
        scheme = entry.recipe.scheme
        if scheme in bare and (isinstance(given, str) or not given.keys() & {"a", "b", "mean", "std"}):
            notes.append(f"{entry.label}: torch's {bare[scheme]}; set its options for another width")
        if scheme == "zero":
            notes.append(f"{entry.label}: ZerO, of identities and Hadamard matrices; all zero is zeros")
    return notes
