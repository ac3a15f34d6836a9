"""What the HParams view of TensorBoard shows of a trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from winit_cli.stats import split_label
from winit_cli.store.schema import FINALS

OWN = ("label", "scheme", "lr", "seed")
SECTIONS = ("model", "data", "train")  # of the config


@dataclass(frozen=True)
class Shown:
    """What is shown of the trials of a run with that config."""

    config: Mapping[str, Any]
    trials: Sequence[Mapping[str, Any]]

    @cached_property
    def metrics(self) -> list[str]:
        """The finals that some trial has."""
        return [name for name in FINALS if any(trial[name] is not None for trial in self.trials)]

    @cached_property
    def choices(self) -> dict[str, list[Any]]:
        """The values that one can choose trials by."""
        return {name: list(dict.fromkeys(trial[name] for trial in self.trials)) for name in OWN}

    def finals(self, trial: Mapping[str, Any]) -> dict[str, float]:
        """Those that the trial has."""
        return {name: trial[name] for name in self.metrics if trial[name] is not None}

    def summaries(self, trial: Mapping[str, Any]) -> Sequence[Any]:
        """TensorBoard's messages: what the experiment is, what the trial is, and that it has ended."""
        from torch.utils.tensorboard.summary import hparams

        found: Sequence[Any] = hparams(  # type: ignore[no-untyped-call]
            hparams_of(trial, self.config), dict.fromkeys(self.metrics, 0.0), self.choices
        )
        return found


def hparams_of(trial: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, float | str]:
    """Label, scheme, learning rate and seed of a trial; and model, data and training as the config says, with the
    values that ``vary:`` gives this trial."""
    variant = split_label(str(trial["label"]))[1]
    given = {key: value for section in SECTIONS for key, value in _flat(config[section], section)}
    chosen = dict(part.split("=", 1) for part in variant.split(",") if "=" in part)
    given |= {key: _number(chosen[key.split(".")[1]]) for key in config.get("vary", {}) if key.split(".")[1] in chosen}
    given.pop("train.lr", None)
    return {name: trial[name] for name in OWN} | {
        key: _plain(value) for key, value in given.items() if value is not None
    }


def _flat(mapping: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in mapping.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}.{key}")
        else:
            yield f"{prefix}.{key}", value


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _plain(value: Any) -> float | str:
    """Numbers and texts as they are; lists as in labels, joined by +."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "+".join(str(_plain(part)) for part in value)
    return value if isinstance(value, int | float) else str(value)
