"""Look for everything, and set aside what the config says is meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from winit_cli.config import Ignore
from winit_cli.errors import brief, known
from winit_cli.lint.finding import Finding, finding, joined
from winit_cli.lint.rules import RULES, Rule
from winit_cli.lint.subject import Found, Study
from winit_cli.plan import Plan


@dataclass(frozen=True)
class Checked:
    """What was found, warnings first, and what ``ignore:`` set aside, each with the entry that did; ``failed`` says of
    each rule that raised an error which and why."""

    findings: list[Finding]
    ignored: list[tuple[Finding, Ignore]]
    failed: list[str]
    source: str

    @property
    def warnings(self) -> list[Finding]:
        """What ``--strict`` does not let pass."""
        return [one for one in self.findings if one.severity == "warning"]

    def document(self) -> dict[str, Any]:
        """``findings`` and ``ignored`` of the JSON document."""
        ignored = [one.flat(self.source) | {"why_ignored": entry.reason} for one, entry in self.ignored]
        findings = [one.flat(self.source) for one in self.findings]
        return {"findings": findings, "ignored": ignored, "failed": self.failed}


def check_plan(plan: Plan) -> Checked:
    """All findings of a plan; nothing is built, trained or written. A rule that raises an error stops nothing."""
    study = Study(plan)
    kept: list[Finding] = []
    aside: dict[int, list[Finding]] = {}
    failed: list[str] = []
    for rule, look in RULES.items():
        for found in _looked(rule, look, study, failed):
            index = _ignored_by(plan.config.ignore, rule, found)
            (kept if index is None else aside.setdefault(index, [])).append(finding(rule, found, study))
    remarks = list(_remarks(study, aside))
    findings = sorted([*joined(kept), *remarks], key=lambda one: one.severity == "note")
    ignored = [(one, plan.config.ignore[index]) for index, found in sorted(aside.items()) for one in joined(found)]
    return Checked(findings, ignored, failed, plan.config.variants[0].document.source)


def _looked(rule: str, look: Rule, study: Study, failed: list[str]) -> list[Found]:
    """What a rule finds; nothing where it raises an error, which is added to those that ``failed``."""
    try:
        return list(look(study))
    except Exception as error:
        words = " ".join(str(error).split())
        failed.append(f"lint {rule} failed: {type(error).__name__}: {brief(words, 200)}")
        return []


def _ignored_by(entries: Sequence[Ignore], rule: str, found: Found) -> int | None:
    """The first entry that says so of every label of a finding, by the name of the entry or with the varied values."""
    names: list[tuple[str, ...]] = [(label.entry.label, label.name) for label in found.labels]
    return next((i for i, entry in enumerate(entries) if all(entry.covers(rule, name) for name in names or [()])), None)


def _remarks(study: Study, aside: dict[int, list[Finding]]) -> Iterator[Finding]:
    """What is said of entries of ``ignore:`` that set nothing aside, or say not why."""
    document = study.plan.config.variants[0].document
    names = list(dict.fromkeys(name for label in study.labels for name in (label.entry.label, label.name)))
    for index, entry in enumerate(study.plan.config.ignore):
        place = (document.where(("ignore", index)),)
        unknown = [label for label in entry.label or () if label not in names]
        idle = [label for label in _idle(entry, aside.get(index, [])) if label not in unknown]
        if unknown:
            text = f"no label {', '.join(map(repr, unknown))}; {known(unknown[0], names)}"
            yield Finding("unused-ignore", "note", (), place, text, "correct the label, or remove it")
        if idle or (index not in aside and not entry.label):
            whom = f" for {', '.join(idle)}" if idle else ""
            text = f"{entry.rule} finds nothing{whom}, so nothing is ignored"
            yield Finding("unused-ignore", "note", (), place, text, "remove it")
        if not entry.reason.strip():
            text, cure = f"{entry.rule} is ignored without a reason", f"{{rule: {entry.rule}, reason: …}}"
            yield Finding("unexplained-ignore", "note", (), place, text, cure)


def _idle(entry: Ignore, set_aside: Sequence[Finding]) -> list[str]:
    """The labels of an entry for which nothing was set aside."""
    there = [name for one in set_aside for name in one.labels]
    return [
        label
        for label in entry.label or ()
        if not any(name.rpartition("@")[0] == label or name == label for name in there)
    ]
