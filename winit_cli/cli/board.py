"""The leaderboard of a run that goes on: means with intervals over the trials that have ended."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from winit_cli.findings.numbers import with_interval
from winit_cli.stats import mean, mean_interval

if TYPE_CHECKING:
    from winit_cli.plan import Trial

MOST = 8  # rows
LABEL_WIDTH = 28


@dataclass
class _Ended:
    """Trials of one label and learning rate: finals, and how many of them have none."""

    finals: list[float] = field(default_factory=list)
    diverged: int = 0
    failed: int = 0


@dataclass(frozen=True)
class Line:
    """A row in words."""

    label: str
    ended: str
    score: str
    lost: str

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """From left to right."""
        return self.label, self.ended, self.score, self.lost


class Board:
    """What is known of each label and learning rate. One thread may add while another reads."""

    def __init__(self) -> None:
        self.kind = ""  # accuracy or loss
        self._found: dict[tuple[str, float], _Ended] = {}
        self._seeds = 0
        self._lock = threading.Lock()

    def add(self, trial: Trial, status: str, final: float | None) -> None:
        """Enter a trial that ended; those that only select learning rates have no say."""
        seeds = trial.setting.experiment.general.seeds
        if trial.seed not in seeds:
            return
        with self._lock:
            self.kind, self._seeds = "accuracy" if trial.setting.has_accuracy else "loss", len(seeds)
            ended = self._found.setdefault((trial.label, trial.lr), _Ended())
            if final is not None and math.isfinite(final):
                ended.finals.append(final)
            else:
                ended.diverged += status == "diverged"
                ended.failed += status == "failed"

    @property
    def headings(self) -> tuple[str, str, str, str]:
        """Of the columns."""
        return "so far", "trials", f"test {self.kind}", ""

    def lines(self) -> list[Line]:
        """The best first, a diverged trial counting as the worst value that any has; at most ``MOST``."""
        with self._lock:
            found = {key: _Ended(list(e.finals), e.diverged, e.failed) for key, e in self._found.items()}
        several = len({lr for _, lr in found}) > 1
        sign = 1.0 if self.kind == "loss" else -1.0
        worst = max((sign * value for ended in found.values() for value in ended.finals), default=math.inf)
        order = sorted(found, key=lambda key: _key(found[key], sign, worst))
        lines = [self._line(key, found[key], several) for key in order]
        rest = len(lines) - MOST + 1
        return lines if rest <= 1 else [*lines[: MOST - 1], Line(f"and {rest} more", "", "", "")]

    def _line(self, key: tuple[str, float], ended: _Ended, several: bool) -> Line:
        label, lr = key
        name = label if len(label) <= LABEL_WIDTH else f"{label[: LABEL_WIDTH - 1]}…"
        score = with_interval(mean(ended.finals), *mean_interval(ended.finals)) or "-"
        counts = {"diverged": ended.diverged, "failed": ended.failed}
        return Line(
            f"{name}, lr {lr:g}" if several else name,
            f"{len(ended.finals) + ended.diverged}/{self._seeds}",
            score,
            ", ".join(f"{count} {what}" for what, count in counts.items() if count),
        )


def _key(ended: _Ended, sign: float, worst: float) -> tuple[float, int]:
    values = [sign * value for value in ended.finals] + [worst] * ended.diverged
    return (mean(values) if values else math.inf, ended.diverged)
