"""What is told of a rule's findings: joined where the same holds for several labels, the worst where numbers differ."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from winit_cli.lint.subject import Found, Severity, Study


@dataclass(frozen=True)
class Finding:
    """A finding for labels (none: for the whole config), with the places in the config that cause it, one per entry."""

    rule: str
    severity: Severity
    labels: tuple[str, ...]
    places: tuple[str, ...]
    reason: str
    cure: str
    extent: float = 0.0

    def flat(self, source: str) -> dict[str, Any]:
        """As in the JSON document; line and column of the first place, where that is in the file ``source``."""
        line, column = position(self.places[0], source)
        return {
            "rule": self.rule,
            "severity": self.severity,
            "labels": list(self.labels),
            "places": list(self.places),
            "line": line,
            "column": column,
            "reason": self.reason,
            "cure": self.cure,
        }


def position(place: str, source: str) -> tuple[int | None, int | None]:
    """Line and column of a place ``file:line:column``."""
    inside = place.removeprefix(f"{source}:").split(":")
    if not place.startswith(f"{source}:") or len(inside) != 2 or not all(part.isdecimal() for part in inside):
        return None, None
    return int(inside[0]), int(inside[1])


def finding(rule: str, found: Found, study: Study) -> Finding:
    """With the names of its labels and the place of what causes it."""
    document = found.labels[0].document if found.labels else study.plan.config.variants[0].document
    names = tuple(label.name for label in found.labels)
    return Finding(rule, found.severity, names, (document.where(found.path),), found.reason, found.cure, found.extent)


def joined(findings: Sequence[Finding]) -> list[Finding]:
    """Variants of one entry into one, which tells the worst; then all that differ in their labels alone."""
    of_entries = _join(findings, lambda one: (one.rule, one.severity, one.places, one.cure))
    return _join(of_entries, lambda one: (one.rule, one.severity, one.reason, one.cure))


def _join(findings: Iterable[Finding], key: Any) -> list[Finding]:
    groups: dict[Hashable, list[Finding]] = {}
    for one in findings:
        groups.setdefault(key(one), []).append(one)
    return [_one(group) for group in groups.values()]


def _one(group: Sequence[Finding]) -> Finding:
    worst = max(group, key=lambda one: one.extent)
    reasons = {one.reason for one in group}
    reason = worst.reason if len(reasons) == 1 else f"at worst, {worst.labels[0]}: {worst.reason}"
    labels = tuple(dict.fromkeys(label for one in group for label in one.labels))
    places = tuple(dict.fromkeys(place for one in group for place in one.places))
    return replace(worst, labels=labels, places=places, reason=reason)
