"""``winit init``, ``winit schema`` and ``winit data``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from winit_cli.cli.guard import guarded
from winit_cli.cli.options import NoColor, Plugin, Quiet
from winit_cli.cli.terminal import Terminal
from winit_cli.errors import StorageError, UsageError

STARTER = """\
# yaml-language-server: $schema=./winit.schema.json
# The line above lets an editor check this file; write the schema with: winit schema > winit.schema.json
name: {name}
model: {{name: mlp, width: 100, depth: 3, activation: relu}}   # winit list models
data: {{name: mnist, source: packaged}}                        # winit list data
schemes:                        # winit list schemes; winit explain kaiming_normal
  - pytorch_default             # also the baseline that the others are compared with
  - kaiming_normal
  - {{scheme: xavier_normal, label: xavier for relu, gain: auto}}   # auto = the model's activation
  - zeros                       # never learns: winit check says why, and ignore: says that it is meant
train: {{optimizer: sgd, lr: [0.05], batch_size: 64, steps: 200}}
seeds: 10                       # 0 to 9; every scheme sees the same batches at one seed
# vary: {{model.depth: [3, 10]}}   # each value becomes part of the label
"""


@guarded
def init(
    path: Annotated[Path, typer.Argument(metavar="NEW.yaml", help="The file to write; must not exist.")],
    no_color: NoColor = False,
) -> None:
    """Write a commented config to start from."""
    from winit_cli.config.schema import NAME

    name = path.stem if NAME.fullmatch(path.stem) else "experiment"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(STARTER.format(name=name))
    except FileExistsError:
        raise UsageError(f"{path} exists and is left as it is; choose another name") from None
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from None
    Terminal(no_color=no_color).path(f"wrote {path}; next: winit run {path}")


@guarded
def schema(plugin: Plugin = []) -> None:  # noqa: B006
    """Print the JSON Schema of the YAML, for editors."""
    from winit_cli.config.json_schema import json_schema
    from winit_cli.plugins import plugged

    with plugged(plugin):
        sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")


@guarded
def download(
    name: Annotated[str, typer.Argument(metavar="NAME", help="mnist, fashion_mnist or cifar10")],
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Download a full data set with torchvision."""
    from winit_cli.data import DATASETS
    from winit_cli.tables import find

    row = find(DATASETS, name, "data set")
    if row.download is None:
        full = ", ".join(row.name for row in DATASETS.values() if row.download)
        raise UsageError(f"{row.name} needs no download; those that do: {full}")
    row.download()
    Terminal(quiet=quiet, no_color=no_color).note(f"{row.name} is on disk; data: {{name: {row.name}}} uses it")
