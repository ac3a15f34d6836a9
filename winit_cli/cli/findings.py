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
    from winit_cli.findings.numbers import counted

    for severity, colour in COLOURS.items():
        group = [one for one in checked.findings if one.severity == severity]
        if group:
            terminal.print(f"\n[bold {colour}]{counted(len(group), severity)}[/]")
        for one in group:
            _show(terminal, one, checked.source)
    terminal.print(f"\n{escape(_summary(checked))}")


def _show(terminal: Terminal, one: Finding, source: str) -> None:
    for line in _wrapped(terminal, f"{_places(one, source)}: {one.rule}", ""):
        before, rule, _ = line.rpartition(one.rule)
        terminal.line(f"{escape(before)}[bold]{rule}[/]" if rule else escape(line))
    labels = [f"label{'s' * (len(one.labels) > 1)} {', '.join(one.labels)}"] if one.labels else []
    for text in (*labels, one.reason, f"cure: {one.cure}"):
        for line in _wrapped(terminal, text, INDENT):
            terminal.line(escape(line))


def _wrapped(terminal: Terminal, text: str, indent: str) -> list[str]:
    """Lines of the terminal's width, broken at spaces alone."""
    return textwrap.wrap(
        text,
        terminal.out.width,
        initial_indent=indent,
        subsequent_indent=INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _summary(checked: Checked) -> str:
    """What ``ignore:`` set aside, and how to, where something is left."""
    from winit_cli.findings.numbers import counted

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
