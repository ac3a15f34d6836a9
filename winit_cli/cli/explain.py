"""``winit explain``: what a scheme does, in numbers for one layer."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from winit_cli.cli.guard import guarded
from winit_cli.cli.options import Json, NoColor, Plugin
from winit_cli.cli.terminal import Terminal
from winit_cli.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from torch import nn

    from winit_cli.schemes import Scheme

LAYER = re.compile(r"(?P<kind>\w+):(?P<sizes>\d+(?:x\d+)+)(?:,groups=(?P<groups>\d+))?", re.ASCII)
FORMS = "linear:784x100 (inputs x outputs), conv:16x32x3 (inputs x outputs x kernel)[,groups=4], lstm:28x64"


@guarded
def explain(
    scheme: Annotated[
        str, typer.Argument(metavar="SCHEME", help="A scheme, with options after colons: normal:std=0.1")
    ],
    layer: Annotated[str | None, typer.Option("--layer", help=f"{FORMS} (also gru, rnn: inputs x hidden)")] = None,
    activation: Annotated[str, typer.Option("--activation", help="What gain: auto means.")] = "relu",
    plugin: Plugin = [],  # noqa: B006
    json: Json = False,
    no_color: NoColor = False,
) -> None:
    """Explain a scheme: formula, paper, torch call, pitfalls, and its numbers for a layer."""
    from winit_cli.plugins import plugged

    terminal = Terminal(json, no_color=no_color)
    with plugged(plugin):
        facts = _explained(scheme, layer, activation)
    terminal.document(facts)
    if not json:
        _print(terminal, facts)


def _explained(scheme: str, layer: str | None, activation: str) -> dict[str, Any]:
    from winit_cli.schemes import SCHEMES
    from winit_cli.tables import find
    from winit_cli.theory.gains import gain

    row = find(SCHEMES, scheme.split(":", maxsplit=1)[0], "scheme")
    gain(activation)  # refuses an unknown one
    fields = row.options.model_fields
    if layer is None and ":" not in scheme:  # in general: an option without a default stands as its name
        given = {name: name if field.is_required() else field.default for name, field in fields.items()}
        options = given
    else:
        options, given = _options(scheme, activation)
    facts = _facts(row, given, options)
    if layer is not None:
        facts["parameters"] = _parameters(row.name, options, layer)
    return facts


def _options(text: str, activation: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The scheme's options with ``auto`` resolved, and as given."""
    from winit_cli.cli.compare import entry_of, split_entries
    from winit_cli.config.document import Document
    from winit_cli.config.entries import EntryReader
    from winit_cli.config.faults import Faults

    faults = Faults(Document({}, text))
    made = entry_of(split_entries(text)[0])
    raw = {"scheme": made} if isinstance(made, str) else {k: v for k, v in made.items() if k != "label"}
    use = EntryReader(faults, activation).use(raw, ())
    faults.raise_any()
    assert use is not None
    return dict(use[0].options), {key: value for key, value in use[1].items() if key != "scheme"}


def _facts(row: Scheme, given: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": row.name,
        "aliases": list(row.aliases),
        "family": row.family,
        "summary": row.summary,
        "formula": row.formula,
        "paper": row.paper,
        "torch": row.torch_call.format(**options),
        "fills": row.applies_to,
        "options": given,
        "pitfalls": list(row.pitfalls),
    }


def _parameters(scheme: str, options: dict[str, Any], layer: str) -> list[dict[str, Any]]:
    """Fans, gain, expected std and bound of every parameter of a layer."""
    from winit_cli.schemes.apply import assign
    from winit_cli.schemes.audit import expected
    from winit_cli.schemes.recipe import Recipe, Use
    from winit_cli.schemes.slots import slots
    from winit_cli.theory.moments import fans

    try:
        assignments = assign(slots(_module(layer)), Recipe(scheme, others=Use(scheme, options)))
    except ConfigError as error:
        reason = error.faults[0].message.partition(";")[0]
        raise UsageError(f"--layer {layer}: {reason}; choose another layer, or another scheme") from None
    found = []
    for assignment in assignments:
        block = assignment.slot.block_shape
        fan_in, fan_out = fans(block) if len(block) > 1 else (None, None)
        found.append(
            {
                "param": assignment.slot.name,
                "shape": "x".join(map(str, assignment.slot.shape)),
                "blocks": assignment.slot.blocks,
                "scheme": assignment.use.scheme,
                "fan_in": fan_in,
                "fan_out": fan_out,
                **asdict(expected(assignment)),
            }
        )
    return found


def _module(layer: str) -> nn.Module:
    """The layer that the text describes, on the meta device.

    Raises:
        UsageError: the text describes no layer.
    """
    import torch
    from torch import nn

    found = LAYER.fullmatch(layer)
    sizes = [int(size) for size in found["sizes"].split("x")] if found else []
    if found is None or 0 in sizes:
        raise UsageError(f"--layer {layer}: expected {FORMS}")
    groups = int(found["groups"] or 1)
    kinds: dict[tuple[str, int], Any] = {
        ("linear", 2): nn.Linear,
        ("lstm", 2): nn.LSTM,
        ("gru", 2): nn.GRU,
        ("rnn", 2): nn.RNN,
        ("conv", 3): lambda a, b, k: nn.Conv2d(a, b, k, groups=groups),
        ("conv", 4): lambda a, b, k, m: nn.Conv2d(a, b, (k, m), groups=groups),
    }
    make = kinds.get((found["kind"], len(sizes)))
    if make is None or (groups > 1 and found["kind"] != "conv"):
        raise UsageError(f"--layer {layer}: expected {FORMS}")
    try:
        with torch.device("meta"):
            module: nn.Module = make(*sizes)
    except (ValueError, RuntimeError, OverflowError) as error:
        raise UsageError(f"--layer {layer}: {str(error).splitlines()[0]}; expected {FORMS}") from None
    return module


def _print(terminal: Terminal, facts: dict[str, Any]) -> None:
    names = {"aliases": "also called", "formula": "formula", "torch": "in torch", "fills": "fills", "paper": "paper"}
    terminal.print(f"[bold]{facts['name']}[/bold] · {facts['family']} · {escape(facts['summary'])}\n")
    for key, title in names.items():
        value = ", ".join(facts[key]) if isinstance(facts[key], list) else facts[key]
        if value:
            terminal.print(f"{title:12} {escape(value)}")
    if facts["options"]:
        values = ", ".join(f"{key}={value}" for key, value in facts["options"].items())
        terminal.print(f"{'options':12} {escape(values)}")
    for pitfall in facts["pitfalls"]:
        terminal.print(f"{'watch out':12} {escape(pitfall)}")
    for parameter in facts.get("parameters", ()):
        terminal.print(f"\n[bold]{parameter['param']}[/bold] {parameter['shape']}, filled by {parameter['scheme']}")
        terminal.print(f"  {escape(_numbers(parameter))}")


def _numbers(parameter: dict[str, Any]) -> str:
    shown = {"blocks": "blocks of its own", "fan_in": "fan_in", "fan_out": "fan_out", "gain": "gain", "mean": "mean"}
    shown |= {"std": "expected std", "bound": "bound"}
    values = {title: parameter[key] for key, title in shown.items() if parameter[key] is not None}
    if parameter["blocks"] == 1 or parameter["fan_in"] is None:
        del values["blocks of its own"]
    return ", ".join(f"{title} {value:.6g}" for title, value in values.items())
