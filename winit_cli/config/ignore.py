"""``ignore:``: findings of ``winit check`` that are meant, each with the reason why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from winit_cli.config.document import Document, shown
from winit_cli.config.faults import Faults
from winit_cli.tables import Strict

# the rules of winit_cli.lint by name, which is above this layer
LintName = Literal[
    "std-too-small",
    "std-too-large",
    "gain-mismatch",
    "selu-gain",
    "identical-units",
    "dead-units",
    "random-biases",
    "forget-bias",
    "packed-gates",
    "one-scheme-for-all",
    "relies-on-default",
    "few-seeds",
    "shared-lr",
]
EXAMPLE = "{rule: std-too-small, label: too small, reason: it shows what happens}"


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Labels = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]


class Ignore(Strict):
    """A rule, the labels for which its findings are meant (all where none is named), and why."""

    rule: LintName
    label: Labels | None = None
    reason: str = ""

    def covers(self, rule: str, labels: Sequence[str]) -> bool:
        """Whether a finding that holds for a label, or any of several names of it, is meant."""
        return rule == self.rule and (self.label is None or bool({*labels} & {*self.label}))

    def flat(self) -> dict[str, Any]:
        """As in the YAML."""
        found = {"rule": self.rule, "label": self.label and list(self.label), "reason": self.reason}
        return {key: value for key, value in found.items() if value}


def ignored_of(document: Document, faults: Faults) -> tuple[Ignore, ...]:
    """All entries without a fault; a rule's name alone stands for all its findings."""
    given = document.data.get("ignore")
    if given is None:
        return ()
    if not isinstance(given, list):
        faults.add(("ignore",), f"expected a list like [{EXAMPLE}], got {shown(given)}")
        return ()
    found = [_entry(value, index, faults) for index, value in enumerate(given)]
    return tuple(entry for entry in found if entry is not None)


def _entry(value: Any, index: int, faults: Faults) -> Ignore | None:
    path = ("ignore", index)
    if isinstance(value, str):
        return faults.model(Ignore, {"rule": value}, path)
    if isinstance(value, Mapping):
        return faults.model(Ignore, value, path)
    faults.add(path, f"expected the name of a rule, or a mapping like {EXAMPLE}, got {shown(value)}")
    return None
