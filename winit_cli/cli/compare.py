"""``winit compare``: an experiment without a file."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winit_cli.cli import completion
from winit_cli.cli.guard import guarded
from winit_cli.cli.options import (
    RESULTS,
    Devices,
    Engine,
    FailFast,
    Fresh,
    Json,
    Loss,
    Memory,
    NoColor,
    Plugin,
    Quiet,
    Results,
    Settings,
    StrictClaims,
    TakeOver,
    parse_memory,
)
from winit_cli.cli.terminal import Terminal
from winit_cli.errors import UsageError

if TYPE_CHECKING:
    from winit_cli.config import Document

OUTSIDE_LISTS = r",(?![^\[]*\])"  # a comma that stands in no list
LONGEST = 64  # letters of a label


@guarded
def compare(
    schemes: Annotated[
        str,
        typer.Option(
            "--schemes",
            metavar="A,B,…",
            help="Schemes, with options after a colon: normal:std=0.01",
            autocompletion=completion.schemes,
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            help="A model (winit list models), or code of yours as FILE.py:NAME.",
            autocompletion=completion.models,
        ),
    ] = "mlp",
    data: Annotated[
        str,
        typer.Option(
            "--data",
            help="A data set (winit list data), or arrays of yours as FILE.npz.",
            autocompletion=completion.data,
        ),
    ] = "mnist",
    lr: Annotated[str, typer.Option("--lr", help="Learning rates, separated by commas.")] = "0.05",
    seeds: Annotated[str, typer.Option("--seeds", help="How many seeds, or a list like 3,5,8.")] = "10",
    steps: Annotated[str | None, typer.Option("--steps", help="Updates per trial; 200 if not given.")] = None,
    settings: Settings = [],  # noqa: B006
    loss: Loss = None,
    plugin: Plugin = [],  # noqa: B006
    results: Results = RESULTS,
    device: Devices = "auto",
    engine: Engine = None,
    memory: Memory = None,
    fresh: Fresh = False,
    fail_fast: FailFast = False,
    take_over: TakeOver = False,
    strict_claims: StrictClaims = False,
    json: Json = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Compare schemes from the command line and print the ranked table; config.yaml in the run repeats it."""
    from winit_cli.cli.run import execute
    from winit_cli.cli.sources import Changes, resolve
    from winit_cli.environment import resolve_devices
    from winit_cli.packing import Code
    from winit_cli.plugins import plugged
    from winit_cli.runner import How

    terminal = Terminal(json, quiet, no_color)
    given = {"model": model, "data": data, "train.lr": lr, "seeds": seeds}
    given |= {} if steps is None else {"train.steps": steps}
    devices, own = resolve_devices(device), Code(tuple(plugin), model, loss)
    how = How(fresh, fail_fast, take_over, parse_memory(memory), devices=devices, code=own)
    with plugged(plugin, model, loss):
        config = resolve(document(schemes, given), Changes(settings, engine, loss=loss))
        result, code = execute(config, terminal, results, how, strict_claims=strict_claims)
    terminal.document(result)
    raise SystemExit(code)


def document(schemes: str, given: dict[str, str]) -> Document:
    """The document that the options amount to, with the options as its places."""
    from winit_cli.config import Document
    from winit_cli.config.override import assign

    entries = [entry_of(text) for text in split_entries(schemes)]
    made = Document({"name": "compare", "schemes": entries, "train": {}}, "the command line")
    made.places[("schemes",)] = "--schemes"
    for index, text in enumerate(split_entries(schemes)):
        made.places[("schemes", index)] = f"--schemes {text}"
    for key, text in given.items():
        option = f"--{key.rsplit('.', 1)[-1]} {text}"
        value: Any = text if key in ("model", "data") else _numbers(text, option)
        if key == "data" and text.endswith(".npz"):
            value = {"name": "npz", "path": text}
        assign(made, tuple(key.split(".")), value, option)
    return made


def _numbers(text: str, option: str) -> Any:
    """``10`` as a number, ``3,5`` as a list; what is not a number stays text and is refused later."""
    from winit_cli.config.document import parse_value

    parts = [parse_value(part, option) if part.strip() else part for part in text.split(",")]
    return parts if len(parts) > 1 else parts[0]


def split_entries(schemes: str) -> list[str]:
    """Entries separated by commas outside lists; ``std=…`` after a comma is one more option of the entry before."""
    entries: list[str] = []
    for part in (part.strip() for part in re.split(OUTSIDE_LISTS, schemes)):
        is_option = "=" in part and ":" not in part.split("=")[0]
        if is_option and entries:
            entries[-1] += f":{part}"
        elif part:
            entries.append(part)
    return entries


def entry_of(text: str) -> Any:
    """``normal:std=0.001`` as an entry labelled ``normal std=0.001``, without what no label may have; what would be too
    long ends in a hash of all of it.

    Raises:
        UsageError: what follows a colon is not ``option=value``.
    """
    from winit_cli.config.document import parse_value

    name, *options = text.split(":")
    if not options:
        return name
    pairs = {key: value for key, _, value in (option.partition("=") for option in options)}
    if not all(pairs.keys()) or not all(pairs.values()) or pairs.keys() & {"scheme", "rules"}:
        raise UsageError(f"{text}: options are written scheme:option=value, e.g. normal:std=0.01 or xavier:gain=auto")
    values = {key: parse_value(value, text) for key, value in pairs.items()}
    label = re.sub(r"[^\w .+@=,-]", "", " ".join([name, *options]))
    if len(label) > LONGEST:
        label = f"{label[:40]} {hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return {"scheme": name, "label": label, **values}
