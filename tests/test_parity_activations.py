"""The engines agree on nets of sine and crelu with every norm and optimizer, as far as the serial one does with itself.

A sine of 30 z makes rounding up to 30 times as large in every layer and step, and a layer norm over units that are
equal but for rounding (``ones``) leaves nothing but rounding. Where that is so no two orders of summation agree, which
is told apart from a wrong formula: the serial engine trains again on inputs moved by one unit in the last place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from small import plan_of
from test_parity import DOUBLE, NOISE, SCHEMES, TRAINED, check_parity, double, in_double, numbers, stacked

from winit_cli.api.init import init
from winit_cli.data.dataset import Dataset
from winit_cli.engine.serial import train_trial
from winit_cli.plan import Plan, Trial
from winit_cli.rng import generator

__all__ = ["double"]

NORMS = ("none", "batch", "layer")
SMALL_STEPS = ("train.lr=[0.0001, 0.0002]", "train.clip_norm=0.5")
CRELU = "schemes=[pytorch_default, looks_linear, orthogonal, zeros, ones]"
SINE = "schemes=[siren, pytorch_default, kaiming_normal, keras_default, zeros]"
MOVES = 3


def _plan(activation: str, norm: str, train: str, *more: str) -> Plan:
    model = f"model={{name: mlp, width: 6, depth: 2, activation: {activation}, norm: {norm}}}"
    return in_double(plan_of("engine=stacked", "seeds=1", TRAINED[train], model, *more))


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("train", TRAINED)
@pytest.mark.parametrize("norm", NORMS)
def test_crelu_nets_agree(norm: str, train: str) -> None:
    schemes = CRELU.replace(", ones", "") if norm == "layer" else CRELU
    check_parity(_plan("crelu", norm, train, schemes), DOUBLE)


@pytest.mark.usefixtures("double")
def test_a_layer_norm_over_equal_units_leaves_nothing_but_rounding() -> None:
    """Why ``ones`` is left out beside it: crelu tells z and -z apart, and here rounding alone decides on the sign."""
    plan = _plan("crelu", "layer", "adamw", "schemes=[ones]")
    model = plan.settings[0].build(0)
    init(model, "ones")
    with torch.no_grad():
        x = model.layers[0](plan.settings[0].dataset.train.x.flatten(1))
        z = model.norms[0](x)
    assert float(x.abs().mean()) > 0.1 and 0 < float(z.abs().max()) < 1e-10


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("train", TRAINED)
@pytest.mark.parametrize("norm", NORMS)
def test_sine_nets_agree_in_small_steps(norm: str, train: str) -> None:
    check_parity(_plan("sine", norm, train, SINE, *SMALL_STEPS), DOUBLE)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    ("activation", "norm", "train", "schemes"),
    [
        ("sine", "layer", "nesterov", "schemes=[kaiming_normal]"),
        ("sine", "batch", "adamw", "schemes=[kaiming_normal, orthogonal]"),
        *[pytest.param("sine", norm, train, SCHEMES, marks=pytest.mark.slow) for norm in NORMS for train in TRAINED],
    ],
)
def test_where_engines_part_the_serial_one_parts_from_itself(
    activation: str, norm: str, train: str, schemes: str
) -> None:
    plan = _plan(activation, norm, train, schemes)
    data = plan.settings[0].dataset
    trials = sorted(plan.trials, key=lambda trial: trial.lr)
    found = stacked(plan, trials)
    for trial in trials:
        wanted = _serial(trial, data)
        apart = _distance(numbers(found[trial.key]), wanted)
        if apart > DOUBLE:
            moved = [_distance(_serial(trial, _moved(data, move)), wanted) for move in range(MOVES)]
            assert apart < 30 * max(moved), (trial.key, apart, moved)


def _serial(trial: Trial, data: Dataset) -> dict[str, float]:
    return numbers(list(train_trial(trial, data)))


def _distance(found: Mapping[str, float], wanted: Mapping[str, float]) -> float:
    """The largest relative difference of what was measured, saturated at 1."""
    assert found.keys() == wanted.keys()
    least = NOISE[DOUBLE] / DOUBLE
    return max(abs(found[key] - value) / max(abs(found[key]), abs(value), least) for key, value in wanted.items())


def _moved(data: Dataset, move: int) -> Dataset:
    """Every input one unit in the last place higher or lower, by chance."""
    x = data.train.x
    sign = torch.randint(0, 2, x.shape, generator=generator("move", move)) * 2 - 1
    return replace(data, train=replace(data.train, x=torch.nextafter(x, x + sign)))
