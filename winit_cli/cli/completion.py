"""What a shell offers after Tab: schemes, models, data sets, configs and runs.

Names come from the shipped JSON Schema, which a test holds against the tables: the tables themselves need torch.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import typer

from winit_cli.cli.sources import packaged

SUFFIXES = (".yaml", ".yml")


def schemes(incomplete: str) -> list[str]:
    """Names of schemes; in a list with commas those that are not in it yet, after what is there."""
    before, comma, _ = incomplete.rpartition(",")
    there = before.split(",")
    names = _schema()["schemes"]["items"]["oneOf"][0]["enum"]
    return [f"{before}{comma}{name}" for name in names if name not in there]


def models(incomplete: str) -> list[str]:
    """Names of models; files, where a model of the user's own is, are the shell's business."""
    return list(_schema()["model"]["oneOf"][0]["enum"])


def data(incomplete: str) -> list[str]:
    """Names of data sets."""
    return list(_schema()["data"]["oneOf"][0]["enum"])


def configs(incomplete: str) -> list[str]:
    """Packaged configs by name, and the YAML files in the directory that was begun to be typed."""
    folder = os.path.dirname(incomplete)  # noqa: PTH120 (a path would lose the ./ of ./mine.yaml)
    found = []
    with suppress(OSError):
        found = [os.path.join(folder, name) for name in os.listdir(folder or ".") if name.endswith(SUFFIXES)]  # noqa: PTH118, PTH208
    return [*packaged(), *sorted(found)]


def runs(ctx: typer.Context, incomplete: str) -> list[str]:
    """The runs under the results directory that the command line names."""
    with suppress(OSError):
        return sorted(path.parent.name for path in Path(ctx.params["results"]).glob("*/run.sqlite"))
    return []


def _schema() -> dict[str, Any]:
    """The properties of a config."""
    text = (packaged()["mnist"].parent / "winit.schema.json").read_text(encoding="utf-8")
    properties: dict[str, Any] = json.loads(text)["properties"]
    return properties
