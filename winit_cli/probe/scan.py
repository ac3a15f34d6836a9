"""Signal, gradient and verdict over a grid of depths, widths and scales of the weights."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from winit_cli.engine.initial import initialized, one_thread
from winit_cli.plan import Trial
from winit_cli.probe.chain import ratio
from winit_cli.probe.examples import watched_examples
from winit_cli.probe.grid import Spot
from winit_cli.probe.measured import Measured, lag_metric
from winit_cli.probe.quick import measure_quickly
from winit_cli.probe.verdict import Verdict, judge
from winit_cli.schemes.audit import InitRecord
from winit_cli.theory import prediction
from winit_cli.theory.meanfield import xi_c
from winit_cli.theory.phase import REACH

SCAN_COLUMNS = ("label", "depth", "width", "sigma_w", "seed", "metric", "value")
METRICS = ("pre_mean_square", "correlation", "gradient_ratio")
TIME_RATIO = "time_ratio"


@dataclass(frozen=True)
class Cell:
    """What was found at a place of the grid.

    ``seeds`` has METRICS by seed: mean square of the pre-activations and correlation in the last hidden layer, and the
    norm of the gradient ``dL/dz`` of the first layer in proportion to the head's. Of recurrent models, whose depth is
    time, it has ``time_ratio`` too: the gradient of the state at the first step in proportion to that at the last,
    where that was followed. ``expected`` has what theory says:
    ``expected_pre_mean_square``, ``expected_gradient_ratio``, and ``trainable_depth``, six times xi_c (Schoenholz et
    al. 2017, arXiv:1611.01232); it is empty for all but plain multilayer perceptrons.
    """

    spot: Spot
    verdict: Verdict
    seeds: dict[int, dict[str, float]]
    expected: dict[str, float]

    @property
    def place(self) -> tuple[Any, ...]:
        """Label, depth, width and sigma_w."""
        return self.spot.label, self.spot.depth, self.spot.width, self.spot.sigma_w

    def median(self, metric: str) -> float:
        """Over the seeds that have it."""
        there = [found[metric] for found in self.seeds.values() if not math.isnan(found.get(metric, math.nan))]
        return statistics.median(there) if there else math.nan

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows of ``scan.csv``; what does not belong to a seed has none."""
        for seed, found in self.seeds.items():
            yield from ((*self.place, seed, metric, value) for metric, value in found.items())
        yield from ((*self.place, None, metric, value) for metric, value in self.expected.items())
        yield (*self.place, None, "verdict", self.verdict.verdict)


def measure_spot(spot: Spot) -> Cell:
    """Build, fill and measure the networks of a place, one after another.

    Raises:
        ConfigError: a scheme cannot fill the network; ForeignError where a user's code raised an error.
    """
    with one_thread():
        found = {trial.seed: measure_trial(trial) for trial in spot.trials}
    measured = [one for one, _ in found.values()]
    seeds = {seed: _ends(one) for seed, (one, _) in found.items()}
    return Cell(spot, judge(measured), seeds, _expected(spot.trials[0], *next(iter(found.values()))))


def measure_trial(trial: Trial) -> tuple[Measured, list[InitRecord]]:
    """The model of a trial as training would find it, by the few numbers of ``measure_quickly``, and what filled it."""
    setting = trial.setting
    initial = initialized(trial)
    part = watched_examples(setting.dataset.train, trial.seed, setting.train.batch_size)
    found = measure_quickly(initial.model, part.x, part.y, setting.loss.function, trial.seed, "step", 0)
    return found, initial.records


def _ends(one: Measured) -> dict[str, float]:
    head = len(one.places)
    last, ends = max(1, head - 1), [one.value(depth, "grad_norm") for depth in (1, head)]
    return {
        "pre_mean_square": one.value(last, "pre_mean_square"),
        "correlation": one.value(last, "correlation"),
        "gradient_ratio": ratio(*ends),
        **_over_time(one),
    }


def _over_time(one: Measured) -> dict[str, float]:
    """Of the first layer whose gradient was followed in time."""
    depth, place = next(((depth, place) for depth, place in enumerate(one.places, 1) if place.last_lag), (0, None))
    if place is None:
        return {}
    return {TIME_RATIO: ratio(*(one.value(depth, lag_metric(lag)) for lag in (place.last_lag, 0)))}


def _expected(trial: Trial, one: Measured, records: list[InitRecord]) -> dict[str, float]:
    model = trial.setting.experiment.model
    activation = prediction.plain_activation({"name": model.name, **model.options})
    layers = prediction.network([place.path for place in one.places], {record.param: record for record in records})
    if activation is None or layers is None or len(layers) < 2:
        return {}
    squares = prediction.predicted_squares(activation, layers, one.input_mean_square)
    found = {
        "expected_pre_mean_square": squares[-2],
        "expected_gradient_ratio": prediction.predicted_gradients(activation, layers, squares)[0],
    }
    last = layers[-2]
    reach = xi_c(activation, last.sigma_w2, last.sigma_b2) if len(layers) > 2 else None
    return found if reach in (None, math.inf) else found | {"trainable_depth": REACH * reach}
