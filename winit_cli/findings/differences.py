"""In what runs differ: data, config, schemes of one label, environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

ENVIRONMENT = ("winit", "torch", "python", "numpy", "cpu", "gpu", "device", "threads")  # what numbers may depend on
SCHEME, ABSENT = "scheme ", "-"
LEFT_OUT = {"schemes", "claims", "name", "ignore"}  # of configs: compared otherwise, or no part of the numbers
Differences = list[tuple[str, list[str]]]  # of what differs: its name and a text per run


class Described(Protocol):
    """What a run says of itself."""

    @property
    def config(self) -> dict[str, Any]: ...
    @property
    def data(self) -> dict[str, Any]: ...
    @property
    def env(self) -> dict[str, Any]: ...


def differences(runs: Sequence[Described]) -> Differences:
    """What differs between runs and may change their numbers: data, config, schemes of one label, environment."""
    return [*config_differences(runs), *environment_differences(runs, ENVIRONMENT)]


def config_differences(runs: Sequence[Described]) -> Differences:
    """What differs of data, config, and schemes of one label."""
    return _differing([_settings(run) for run in runs])


def environment_differences(runs: Sequence[Described], names: Sequence[str] = ()) -> Differences:
    """What differs of the environment, or of the facts named."""
    return _differing([{name: _text(run.env[name]) for name in names or run.env if name in run.env} for run in runs])


def _differing(facts: Sequence[Mapping[str, str]]) -> Differences:
    keys = list(dict.fromkeys(key for one in facts for key in one))
    sections = list(dict.fromkeys(_section(key) for key in keys))  # what only later ones have, beside its like
    keys.sort(key=lambda key: sections.index(_section(key)))
    rows = [(key, [one.get(key, ABSENT) for one in facts]) for key in keys]
    return [(key, texts) for key, texts in rows if _differ(key, texts)]


def _section(key: str) -> str:
    return key.partition(".")[0]


def _differ(key: str, texts: Sequence[str]) -> bool:
    """Whether texts are not all the same; a label that only some runs have is told by their labels."""
    there = {text for text in texts if text != ABSENT} if key.startswith(SCHEME) else set(texts)
    return len(there) > 1


def _settings(run: Described) -> dict[str, str]:
    data = {"data fingerprint": str(run.data.get("fingerprint", "unknown"))[:12]}
    config = {key: value for key, value in run.config.items() if key not in LEFT_OUT}
    schemes = {f"{SCHEME}{entry['label']}": _text(entry) for entry in run.config["schemes"]}
    labels = {"labels": _text([entry["label"] for entry in run.config["schemes"]])}
    return data | dict(_flat(config)) | labels | schemes


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
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)
