"""In what runs differ: data, config, schemes of one label, environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from winit_cli.findings import Findings

ENVIRONMENT = ("winit", "torch", "python", "numpy", "cpu", "gpu", "device", "threads")
SCHEME, ABSENT = "scheme ", "-"
LEFT_OUT = {"schemes", "claims", "name"}  # of configs: compared otherwise, or no part of the numbers


def differences(found: Sequence[Findings]) -> list[tuple[str, list[str]]]:
    """What differs between runs: data, config, schemes of one label, environment."""
    facts = [_facts(one) for one in found]
    keys = dict.fromkeys(key for one in facts for key in one)
    rows = [(key, [one.get(key, ABSENT) for one in facts]) for key in keys]
    return [(key, texts) for key, texts in rows if _differ(key, texts)]


def _differ(key: str, texts: Sequence[str]) -> bool:
    """Whether texts are not all the same; a label that only some runs have is told by their labels."""
    there = {text for text in texts if text != ABSENT} if key.startswith(SCHEME) else set(texts)
    return len(there) > 1


def _facts(found: Findings) -> dict[str, str]:
    run = found.run
    data = {"data fingerprint": str(run.data.get("fingerprint", "unknown"))[:12]}
    config = {key: value for key, value in run.config.items() if key not in LEFT_OUT}
    schemes = {f"{SCHEME}{entry['label']}": _text(entry) for entry in run.config["schemes"]}
    labels = {"labels": _text([entry["label"] for entry in run.config["schemes"]])}
    environment = {name: _text(run.env[name]) for name in ENVIRONMENT if name in run.env}
    return data | dict(_flat(config)) | labels | schemes | environment


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in mapping.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _text(value)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items() if key != "label") or "none"
    if isinstance(value, list):
        return ", ".join(map(_text, value)) or "none"
    return "none" if value is None else str(value)
