"""An explanation as it is printed: titles with texts that wrap beside them, a table of factors, and code to copy."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from winit_cli.cli.terminal import Terminal

GENERAL = {
    "aliases": "also called",
    "formula": "formula",
    "keeps": "keeps",
    "fills": "fills",
    "paper": "paper",
    "options": "options",
}
INDENT, LEAST = 13, 20  # columns of the titles, and the least that texts beside them get
DEPTHS = (10, 30)
Lines = Iterable[tuple[str, str]]


def print_facts(terminal: Terminal, facts: Mapping[str, Any]) -> None:
    """Print all of them; without a layer, what is general."""
    terminal.print(f"[bold]{facts['name']}[/bold] · {facts['family']}\n")
    _print_lines(terminal, [("beware", facts["caution"])] if facts["caution"] else [])
    _print_lines(terminal, [("in short", facts["summary"])] if facts["summary"] else [])
    _print_lines(terminal, _general(facts))
    if "layer" not in facts:
        terminal.print("\nIn numbers: add --layer linear:784x100 and --activation relu")
        return
    if facts["taken_for"]:
        terminal.print(f"\nThe layer is taken for {facts['taken_for']}.")
    for parameter in facts["parameters"]:
        terminal.print(f"\n[bold]{parameter['param']}[/bold] {parameter['shape']}, filled by {parameter['scheme']}")
        _print_lines(terminal, _numbers(parameter))
    _print_signal(terminal, facts["signal"])
    if "default" in facts:
        terminal.print("\n[bold]What the default amounts to[/bold]")
        for sentence in facts["default"]["sentences"]:
            _print_wrapped(terminal, "- ", sentence)
    terminal.print("\n[bold]In torch[/bold]")
    terminal.line(escape(facts["code"]))


def _general(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, title in GENERAL.items():
        if value := _text(facts[key]):
            yield title, value
        elif key == "formula":
            yield title, "the row of the scheme gives none"
    if "layer" not in facts and facts["torch"]:
        yield "in torch", facts["torch"]
    for pitfall in facts["pitfalls"]:
        yield "watch out", pitfall
    if "layer" not in facts or "activation" in facts["signal"]:
        yield f"{facts['activation']['name']} gain", facts["activation"]["sentence"]


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={inner}" for key, inner in value.items())
    return ", ".join(value) if isinstance(value, list) else str(value)


def _numbers(parameter: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    p = parameter
    yield "formula", p["in_numbers"]
    if p["is_in_parts"]:
        return
    if p["fan_in"] is not None:
        each = f" in each of {p['blocks']} blocks" if p["blocks"] > 1 else ""
        yield (
            "fans",
            f"fan_in {p['fan_in']}, fan_out {p['fan_out']}{each}" + (f"; used: {p['fan']}" if p["fan"] else ""),
        )
    if p["gain"] is not None:
        yield "gain", f"{p['gain']:.6g} ({p['gain_source']})"
    elif p["gain_on_fan_in"]:
        yield "gain", f"none; std sqrt(fan_in) = {p['gain_on_fan_in']:.4g} is what the values amount to"
    if p["std"]:
        mean = f", mean {p['mean']:.6g}" if p["mean"] else ""
        bound = "none" if p["bound"] is None else f"{p['bound']:.6g}"
        yield "expected std", f"{p['std']:.6g}, variance {p['variance']:.6g}{mean}, bound {bound}"


def _print_signal(terminal: Terminal, signal: Mapping[str, Any]) -> None:
    if "layer_factor" in signal:
        at = f" (from {signal['q']:g})" if signal["scale_matters"] else ""
        of = f"factors on mean squares of pre-activations and gradients{at}"
        terminal.print(f"\n[bold]Through {escape(signal['activation'])}[/bold], {of}")
        terminal.print(_factors(signal))
    else:
        terminal.print("\n[bold]Signal[/bold]")
    _print_wrapped(terminal, "", signal["sentence"])


def _factors(signal: Mapping[str, Any]) -> Table:
    """The layer and, where that is not square, the stack of square layers: what one does, and many of them."""
    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("", "", "per layer", *(f"after {depth}" for depth in DEPTHS)):
        table.add_column(name, justify="right" if name else "left", overflow="fold")
    stack = signal["stack"]
    kinds = (("signal, forward", "layer_factor", "mean_square"), ("gradient, back", "gradient_factor", "gradient"))
    if stack["layer"] != signal["layer"]:
        for name, factor, _ in kinds:
            table.add_row(signal["layer"], name, f"{signal[factor]:.4g}", *("-" for _ in DEPTHS))
    for name, factor, key in kinds:
        after = (f"{stack[f'after_{depth}'][key]:.4g}" for depth in DEPTHS)
        table.add_row(stack["layer"], name, f"{stack[factor]:.4g}", *after)
    return table


def _print_lines(terminal: Terminal, lines: Lines) -> None:
    for title, text in lines:
        _print_wrapped(terminal, f"{title:{INDENT - 1}} ", text)


def _print_wrapped(terminal: Terminal, title: str, text: str) -> None:
    width = max(terminal.out.width, len(title) + LEAST)
    following = " " * len(title)
    wrapped = textwrap.fill(text, width, initial_indent=title, subsequent_indent=following, break_on_hyphens=False)
    terminal.line(escape(wrapped))
