"""``winit explain``: what a scheme does, in numbers for one layer."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from winit_cli.cli import completion
from winit_cli.cli.explanation import print_facts
from winit_cli.cli.guard import guarded
from winit_cli.cli.options import Json, NoColor, Plugin
from winit_cli.cli.terminal import Terminal
from winit_cli.errors import UsageError


@guarded
def explain(
    scheme: Annotated[
        str,
        typer.Argument(
            metavar="SCHEME",
            help="A scheme, with options after colons: normal:std=0.1",
            autocompletion=completion.schemes,
        ),
    ],
    layer: Annotated[
        str | None,
        typer.Option(
            "--layer",
            help="linear:784x100 (inputs x outputs), conv:16x32x3 (inputs x outputs x kernel)[,groups=4] (also conv1d, "
            "conv3d), lstm:28x64 (inputs x hidden; also gru, rnn), embedding:1000x64",
        ),
    ] = None,
    activation: Annotated[
        str, typer.Option("--activation", help="Through which signals pass, and what gain: auto means.")
    ] = "relu",
    plugin: Plugin = [],  # noqa: B006
    json: Json = False,
    no_color: NoColor = False,
) -> None:
    """Explain a scheme: formula, what it keeps, paper, pitfalls, torch call, and its numbers for a layer."""
    from winit_cli.plugins import plugged

    terminal = Terminal(json, no_color=no_color)
    with plugged(plugin):
        facts = _facts(scheme, layer, activation)
    terminal.document(facts)
    if not json:
        print_facts(terminal, facts)


def _facts(scheme: str, layer: str | None, activation: str) -> dict[str, Any]:
    from winit_cli.cli.compare import entry_of, split_entries
    from winit_cli.explain.general import layer_facts, scheme_facts

    if layer is None and ":" not in scheme:
        return scheme_facts(scheme, activation)
    entries = split_entries(scheme)
    if len(entries) != 1:
        raise UsageError(f"{scheme}: winit explain takes one scheme; winit compare takes several")
    entry = entry_of(entries[0])
    options = {} if isinstance(entry, str) else {key: value for key, value in entry.items() if key != "label"}
    return layer_facts({"scheme": entries[0].split(":")[0]} | options, layer, activation)
