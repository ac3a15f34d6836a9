"""What ``winit check`` prints of its findings."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rich.markup import escape

from winit_cli.cli.terminal import Terminal

if TYPE_CHECKING:
    from winit_cli.lint.check import Checked
    from winit_cli.lint.finding import Finding

COLOURS = {"warning": "yellow", "note": "cyan"}
INDENT = "    "


def show(terminal: Terminal, checked: Checked) -> None:
    """The findings grouped by severity: places and rule, then labels, reason and cure."""
    for severity, colour in COLOURS.items():
        group = [one for one in checked.findings if one.severity == severity]
        if group:
            terminal.print(f"\n[bold {colour}]{counted(len(group), severity)}[/]")
        for one in group:
            _show(terminal, one, checked.source)
    terminal.print(f"\n{escape(_summary(checked))}")


def _show(terminal: Terminal, one: Finding, source: str) -> None:
    terminal.line(f"{escape(_places(one, source))}: [bold]{one.rule}[/]")
    labels = [f"label{'s' * (len(one.labels) > 1)} {', '.join(one.labels)}"] if one.labels else []
    for text in (*labels, one.reason, f"cure: {one.cure}"):
        width = terminal.out.width - len(INDENT)
        for line in textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False):
            terminal.line(INDENT + escape(line))


def counted(count: int, noun: str) -> str:
    """``1 warning``, ``3 warnings``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _summary(checked: Checked) -> str:
    """What ``ignore:`` set aside, and how to, where something is left."""
    rules = ", ".join(dict.fromkeys(one.rule for one, _ in checked.ignored))
    aside = f"{counted(len(checked.ignored), 'finding')} set aside by ignore: ({rules})" if rules else ""
    if checked.findings:
        hint = "what is meant is set aside with ignore: [{rule: …, label: …, reason: …}]"
        return f"{aside}\n{hint}" if aside else hint
    return f"no other findings; {aside}" if aside else "no findings"


def _places(one: Finding, source: str) -> str:
    """``c.yaml:7:5, 9:5``: the file is named once."""
    first, *others = one.places
    return ", ".join([first, *(place.removeprefix(f"{source}:") for place in others)])
