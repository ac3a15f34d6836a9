"""What the HParams view of TensorBoard shows of trials: what tells them apart, and their finals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from winit_cli.stats import split_label
from winit_cli.store.schema import FINALS

OWN = ("label", "scheme", "lr", "seed")


@dataclass(frozen=True)
class Shown:
    """What is shown of the trials of a run that varies these keys of its config."""

    varied: Iterable[str]
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

    def hparams(self, trial: Mapping[str, Any]) -> dict[str, float | str]:
        """Label, scheme, learning rate and seed, and the values that ``vary:`` gives this trial."""
        variant = split_label(str(trial["label"]))[1]
        chosen = dict(part.split("=", 1) for part in variant.split(",") if "=" in part)
        options = {key: key.split(".")[1] for key in self.varied}
        return {name: trial[name] for name in OWN} | {
            key: _number(chosen[option]) for key, option in options.items() if option in chosen
        }

    def summaries(self, trial: Mapping[str, Any]) -> Sequence[Any]:
        """TensorBoard's messages: what the experiment is, what the trial is, and that it has ended."""
        from torch.utils.tensorboard.summary import hparams

        metrics = dict.fromkeys(self.metrics, 0.0)
        found: Sequence[Any] = hparams(self.hparams(trial), metrics, self.choices)  # type: ignore[no-untyped-call]
        return found


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
