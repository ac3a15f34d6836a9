"""The coordinate check: how much a few training steps move pre-activations in networks of several widths.

Yang et al. 2022, Tensor Programs V (arXiv:2203.03466), section D.1 and figure 5. A layer whose change neither grows nor
shrinks with the width learns at the same pace in all of them, so that a learning rate found at one fits the others.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from pandas import DataFrame
from torch import Tensor, nn

from winit_cli.claims.metrics import WIDTH_STEPS
from winit_cli.engine.batches import batches
from winit_cli.engine.initial import initialized, one_thread
from winit_cli.engine.optimizer import make_optimizer, rate_factor
from winit_cli.engine.serial import update
from winit_cli.plan import Trial
from winit_cli.probe.arrays import joined
from winit_cli.probe.examples import watched_examples
from winit_cli.probe.grid import Spot
from winit_cli.probe.layers import Layer
from winit_cli.probe.measured import WIDTH_SLOPE, Row
from winit_cli.probe.observe import observed
from winit_cli.probe.untouched import untouched
from winit_cli.rng import forked, seed_globals
from winit_cli.stats import width_slopes
from winit_cli.widths import resized

COORDINATE_COLUMNS = ("label", "width", "seed", "step", "layer", "depth", "value")
Sizes = Iterator[tuple[int, str, int, float]]


def check_spot(spot: Spot) -> Iterator[tuple[Any, ...]]:
    """The rows of ``coordinate.csv`` for one label and width, seed by seed.

    Raises:
        ConfigError: a scheme cannot fill the network; ForeignError where a user's code raised an error.
    """
    for trial in spot.trials:
        for step, layer, depth, value in _follow(trial):
            yield spot.label, spot.width, trial.seed, step, layer, depth, value


def slope_rows(trial: Trial, widths: Sequence[int]) -> list[Row]:
    """The exponent of the width in the change of each layer's pre-activations after each step, from networks of several
    widths that start and train as the trial would.

    Raises:
        ConfigError, ForeignError: as above.
    """
    sizes = DataFrame(
        [
            (trial.label, width, trial.seed, *row)
            for width in widths
            for row in _follow(replace(trial, setting=resized(trial.setting, None, width)))
        ],
        columns=list(COORDINATE_COLUMNS),
    )
    slopes = width_slopes(sizes[sizes["step"] > 0])
    found = zip(*(slopes[name] for name in ("layer", "depth", "step", "slope")), strict=True)
    return [Row(layer, depth, f"{WIDTH_SLOPE}{step}", slope) for layer, depth, step, slope in found]


def _follow(trial: Trial) -> Sizes:
    with one_thread(), forked(trial.seed, "trial") if trial.setting.is_foreign else contextlib.nullcontext():
        yield from _sizes(trial)


def _sizes(trial: Trial) -> Sizes:
    """Train as the trial would, for 5 steps. At step 0 the root mean square of each layer's pre-activations on the
    examples of the first batches, and from then on that of their change since step 0."""
    setting, train = trial.setting, trial.setting.train
    initial, data = initialized(trial), setting.dataset.train
    model = initial.model
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    trained = list(named.values())
    optimizer = make_optimizer(trained, train, trial.lr, [initial.rates[name] for name in named])
    watched = watched_examples(data, trial.seed, train.batch_size).x
    order = batches(trial.seed, len(data.x), train.batch_size)
    start = _pre_activations(model, watched, trial.seed)
    yield from ((0, layer.path, layer.depth, _size(z)) for layer, z in start)
    for step in range(WIDTH_STEPS):
        index = next(order)
        if setting.is_foreign:
            seed_globals(trial.seed, "step", step)
        loss = setting.loss.function(model(data.x[index]), data.y[index])
        loss.backward()  # type: ignore[no-untyped-call]
        update(optimizer, trained, trial.lr * rate_factor(step, train), train.clip_norm)
        moved = _pre_activations(model, watched, trial.seed)
        pairs = zip(start, moved, strict=True)
        yield from ((step + 1, layer.path, layer.depth, _size(z - before)) for (layer, before), (_, z) in pairs)


def _pre_activations(model: nn.Module, x: Tensor, seed: int) -> list[tuple[Layer, Tensor]]:
    with torch.no_grad(), untouched(model, seed, "step", 0):
        observer, _ = observed(model, x)
    return [(layer, joined(layer, len(x)).double()) for layer in observer.layers]


def _size(z: Tensor) -> float:
    return float(torch.linalg.vector_norm(z)) / math.sqrt(z.numel())
