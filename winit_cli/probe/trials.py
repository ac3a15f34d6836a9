"""Probe every label of a plan: with the weights and the first batches that its trials would start with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from winit_cli.claims.fits import asks_for_probe
from winit_cli.engine.initial import initialized, one_thread
from winit_cli.plan import Plan, Trial
from winit_cli.probe.coordinate import slope_rows
from winit_cli.probe.examples import watched_examples
from winit_cli.probe.measure import measure
from winit_cli.probe.measured import Measured
from winit_cli.probe.verdict import Verdict, judge
from winit_cli.rng import forked

SEEDS = 5  # of the config's are probed unless more are asked for: an odd number, whose median is one of them
MOST = 100  # probes, of about a twentieth of a second, unless more are asked for
COLUMNS = ("label", "seed", "layer", "depth", "metric", "value")
HISTOGRAM_COLUMNS = ("label", "seed", "layer", "depth", "quantity", "low", "high", "count")
VERDICT_COLUMNS = ("label", "verdict", "layer", "metric", "value", "advice")


@dataclass(frozen=True)
class Probed:
    """What was measured of each label, by seed."""

    measured: dict[str, dict[int, Measured]]

    @property
    def labels(self) -> list[str]:
        """The labels in the plan's order."""
        return list(self.measured)

    @property
    def seeds(self) -> list[int]:
        """The seeds that were probed."""
        return list(dict.fromkeys(seed for seeds in self.measured.values() for seed in seeds))

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows of ``probe.csv``, by label, seed, depth and metric."""
        for label, seeds in self.measured.items():
            for seed, measured in seeds.items():
                yield from ((label, seed, *row) for row in measured.rows)

    def histogram_rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows of ``histograms.csv``, of the first seed of each label."""
        for label, seeds in self.measured.items():
            for seed, measured in seeds.items():
                yield from ((label, seed, *one) for one in measured.bins)

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """What is said of each label."""
        return {label: judge(list(seeds.values())) for label, seeds in self.measured.items()}

    def verdict_rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows of ``verdicts.csv``."""
        return ((label, *verdict) for label, verdict in self.verdicts.items())


def trials_to_probe(plan: Plan, seeds: int | None = None) -> list[Trial]:
    """Those whose models are measured: of every label at its first learning rate the first ``seeds``, or as many as
    ``measure.probe`` says; by default 5, fewer where that were more than 100 in all, and all where claims are about
    what is measured."""
    general = plan.config.base.general
    count = plan.config.base.measure.probe if seeds is None else seeds
    if count is None:
        count = min(SEEDS, max(1, MOST // len(plan.labels)))
    if asks_for_probe(plan.config.claims):
        count = len(general.seeds)
    first: dict[tuple[str, int], Trial] = {}
    for trial in plan.trials:
        if trial.seed in trial.setting.experiment.general.seeds[:count]:
            first.setdefault((trial.label, trial.seed), trial)
    return list(first.values())


def probe_plan(plan: Plan, seeds: int | None = None) -> Probed:
    """Measure the labels of a plan in their order, see ``trials_to_probe``; nothing is trained.

    On the CPU, in single precision and by one thread, whatever the plan trains on, so that the numbers depend on the
    plan alone.

    Raises:
        UsageError: a model cannot be probed; ForeignError where a user's code raised an error.
    """
    measured: dict[str, dict[int, Measured]] = {label: {} for label in plan.labels}
    with one_thread():
        for trial in trials_to_probe(plan, seeds) or trials_to_probe(plan, SEEDS):
            mine = measured[trial.label]
            mine[trial.seed] = probe_trial(trial, count_values=not mine)
    return Probed(measured)


def probe_trial(trial: Trial, count_values: bool = False) -> Measured:
    """Measure the model of a trial as training would find it at its first step, with histograms if asked for."""
    setting = trial.setting
    part = watched_examples(setting.dataset.train, trial.seed, setting.train.batch_size)
    with forked(trial.seed, "trial") if setting.is_foreign else contextlib.nullcontext():
        model = initialized(trial).model
        found = measure(model, part.x, part.y, setting.loss.function, trial.seed, "step", 0, count_values=count_values)
    widths = setting.experiment.measure.widths
    return found.with_rows(slope_rows(trial, widths)) if widths else found
