"""The claims of a document, checked against its labels and learning rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from winit_cli.claims.check import Known, check
from winit_cli.claims.claim import Claim
from winit_cli.claims.entry import Entry, Given
from winit_cli.config.document import Document, shown
from winit_cli.config.faults import Faults
from winit_cli.config.schema import Experiment

MOST = 500
EXAMPLE = "{expect: zeros final_test_accuracy < 0.2}"


def claims_of(
    document: Document, base: Experiment | None, suffixes: Sequence[str], varied: Sequence[str], faults: Faults
) -> tuple[Claim, ...]:
    """All claims without a fault; where the experiment has faults (``None``) they are checked as far as can be."""
    given = _given(document.data.get("claims"), faults)
    labels = [entry.label for entry in base.schemes] if base else _typed_labels(document.data.get("schemes"))
    about = Known(
        labels=[label + suffix for suffix in suffixes for label in labels],
        rates=base.train.lr if base else (),
        selects=document.data.get("select") is not None,
        has_val=bool(base.data.options["val_size"]) if base and _says_val_size(base, varied) else None,
    )
    claims, wrong = check(given, about)
    for path, message in wrong:
        faults.add(path, message)
    return claims


def _given(raw: Any, faults: Faults) -> list[Given]:
    if raw is None:
        return []
    if not isinstance(raw, list):
        faults.add(("claims",), f"expected a list of claims like [{EXAMPLE}], got {shown(raw)}")
        return []
    if len(raw) > MOST:
        faults.add(("claims",), f"{len(raw):,} claims, expected at most {MOST}")
        return []
    found = [(index, value, _entry(value, index, faults)) for index, value in enumerate(raw)]
    return [Given(index, entry, isinstance(value, str)) for index, value, entry in found if entry]


def _entry(value: Any, index: int, faults: Faults) -> Entry | None:
    path = ("claims", index)
    if isinstance(value, str):
        return Entry(expect=value)
    if not isinstance(value, Mapping):
        faults.add(path, f"expected a claim like {EXAMPLE}, got {shown(value)}")
        return None
    if "expect" in value:
        return faults.model(Entry, value, path)
    faults.add(path, f"a claim needs expect:, as in {EXAMPLE}")
    faults.model(Entry, {"expect": "", **value}, path)
    return None


def _typed_labels(raw: Any) -> list[str]:
    """The labels of schemes that may have faults."""
    entries = raw if isinstance(raw, list) else []
    texts = [entry.get("label", entry.get("scheme")) if isinstance(entry, Mapping) else entry for entry in entries]
    return [text for text in texts if isinstance(text, str)]


def _says_val_size(base: Experiment, varied: Sequence[str]) -> bool:
    return "val_size" in base.data.options and "data.val_size" not in varied
