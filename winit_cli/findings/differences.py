"""In what runs differ: data, config, schemes of one label, environment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from winit_cli.tasks import default_loss

ENVIRONMENT = ("winit", "torch", "python", "numpy", "cpu", "gpu", "device", "threads")  # what numbers may depend on
SCHEME, ABSENT = "scheme ", "-"
LEFT_OUT = {"schemes", "claims", "name", "ignore"}  # of configs: compared otherwise, or no part of the numbers
Differences = list[tuple[str, list[Any]]]  # of what differs: its name and a value per run, None where it has none


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
    return _differing([{name: run.env[name] for name in names or run.env if name in run.env} for run in runs])


def shown(value: Any) -> str:
    """A value as people read it; lists and options inside of a list stand in brackets."""
    if value is None:
        return ABSENT
    if isinstance(value, dict):
        return ", ".join(f"{key} {_inner(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_inner, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _inner(value: Any) -> str:
    return f"[{shown(value) if value else ''}]" if isinstance(value, dict | list) else shown(value)


def _differing(facts: Sequence[Mapping[str, Any]]) -> Differences:
    keys = list(dict.fromkeys(key for one in facts for key in one))
    sections = list(dict.fromkeys(_section(key) for key in keys))  # what only later ones have, beside its like
    keys.sort(key=lambda key: sections.index(_section(key)))
    rows = [(key, [one.get(key) for one in facts]) for key in keys]
    return [(key, values) for key, values in rows if _differ(key, values)]


def _section(key: str) -> str:
    return key.partition(".")[0]


def _differ(key: str, values: Sequence[Any]) -> bool:
    """Whether values are not all the same; a label that only some runs have is told by their labels."""
    there = [value for value in values if value is not None or not key.startswith(SCHEME)]
    return any(value != there[0] for value in there)


def _settings(run: Described) -> dict[str, Any]:
    data = {"data fingerprint": str(run.data.get("fingerprint", "unknown"))[:12]}
    config = {key: value for key, value in run.config.items() if key not in LEFT_OUT}
    config["train"] = {"loss": default_loss(run.data["task"])} | config["train"]
    schemes = {f"{SCHEME}{entry['label']}": _options(entry) for entry in run.config["schemes"]}
    labels = {"labels": [entry["label"] for entry in run.config["schemes"]]}
    return data | dict(_flat(config)) | labels | schemes


def _options(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "label"}


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in mapping.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
