"""The row that describes a rule of ``winit check``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from winit_cli.config.ignore import LintName
from winit_cli.lint.subject import Found, Label, Study


@dataclass(frozen=True)
class Lint:
    """A rule: its name, one line about it, and the function that looks for it in a study."""

    name: LintName
    summary: str
    look: Callable[[Study], Iterator[Found]]
    aliases: tuple[str, ...] = ()


def each(look: Callable[[Label], Iterator[Found]]) -> Callable[[Study], Iterator[Found]]:
    """A rule about single labels as one about a study."""
    return lambda study: (found for label in study.labels for found in look(label))
