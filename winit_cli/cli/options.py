"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from winit_cli.cli import completion
from winit_cli.sizes import parse_size


def run_argument(metavar: str) -> Any:
    """An argument that names a run."""
    help_ = "A run: its path, name or a unique beginning of it."
    return typer.Argument(metavar=metavar, help=help_, autocompletion=completion.runs)


Run = Annotated[str, run_argument("RUN")]
Settings = Annotated[
    list[str],
    typer.Option("--set", "-s", metavar="KEY=VALUE", help="Override a value of the config: -s train.lr=0.1"),
]
Results = Annotated[Path, typer.Option("--results", envvar="WINIT_RESULTS", help="Directory that holds the runs.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Devices = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda or cuda:N; side by side cuda:0,cuda:1 or cuda:all.")
]
Engine = Annotated[str | None, typer.Option("--engine", help="auto, stacked or serial; default: the config's.")]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory",
        metavar="SIZE",
        help="What all stacks that train at once may take: 512MiB, 8GiB, 8GB, bytes; default: 8GiB.",
    ),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Train everything again, in a sibling directory.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first trial that fails.")]
TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Write this run even if another process seems to be writing it.")
]
ShardOf = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="N/OF",
        help="Train one share of the stacks, apart; winit merge joins them.",
    ),
]
On = Annotated[
    str | None,
    typer.Option("--on", metavar="CLUSTER", help="Train on a Ray cluster: ray (one here), auto, or ray://HOST:PORT."),
]
Gpus = Annotated[
    float, typer.Option("--gpus", metavar="SHARE", help="GPUs, or the share of one, of each stack on a cluster.")
]
StrictClaims = Annotated[
    bool, typer.Option("--strict-claims", help="Exit with 3 when a claim of the config is not supported.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Plugin = Annotated[
    list[str],
    typer.Option("--plugin", metavar="FILE.py", help="Python file whose schemes, models, data sets, losses to add."),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Another model: a name, or code of yours as FILE.py:NAME, which is run.",
        autocompletion=completion.models,
    ),
]
Loss = Annotated[
    str | None, typer.Option("--loss", help="A loss of your own, FILE.py:NAME; default: that of the data's task.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no notes.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours (as does NO_COLOR).")]

RESULTS = Path("results")


def parse_memory(text: str | None) -> int | None:
    """The bytes that ``--memory`` asks for."""
    return None if text is None else parse_size(text, "--memory")
