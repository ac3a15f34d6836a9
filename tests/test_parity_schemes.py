"""Every scheme in every family, alone and among any neighbours: a stack trains what the serial engine trains."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from small import column, plan_of, run_of
from test_parity import DOUBLE, MODELS, NOISE, SCHEMES, SINGLE, check_parity, double, in_double, numbers, stacked
from zoo import CASES, IDS, NEEDY

from winit_cli.engine.serial import train_trial
from winit_cli.engine.stack import Stack
from winit_cli.errors import ConfigError
from winit_cli.models.lift.recurrent import LoneLSTM
from winit_cli.plan import Trial

__all__ = ["double"]

FAMILIES = ["mlp", "cnn", "lstm", "gru", "rnn"]
FALLBACK = {"scheme": "constant", "val": 0.25}  # for what a scheme cannot fill
EVERY_SCHEME = [
    {"scheme": name, "label": label[:64], **options, "fallback": FALLBACK}
    for (name, options), label in zip(CASES, IDS, strict=True)
]
FEW_STEPS = "train={lr: 0.05, batch_size: 8, steps: 3}"
ON_A_KINK = ("zero c=paper", "cnn")  # Hadamard sums cancel to 0, where rounding decides on relu's slope
KEY = "kaiming_normal/0.05/1"
Neighbours = Callable[[Sequence[Trial]], list[Trial]]


def has_a_place(entry: dict[str, Any], model: str) -> bool:
    """Whether a model has parameters that a scheme is for; only some schemes need any."""
    if entry["scheme"] not in NEEDY:
        return True
    try:
        return bool(plan_of(f"schemes={json.dumps([entry])}", *MODELS[model]).trials)
    except ConfigError:
        return False


def test_every_scheme_has_a_place_in_some_family() -> None:
    """But for one that is for an activation of its own, see the tests of activations."""
    homeless = {e["scheme"] for e in EVERY_SCHEME if not any(has_a_place(e, model) for model in FAMILIES)}
    assert homeless <= {"looks_linear"}


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("model", FAMILIES)
def test_every_scheme_begins_and_trains_in_a_stack_as_by_itself(model: str) -> None:
    entries = [entry for entry in EVERY_SCHEME if has_a_place(entry, model) and (entry["label"], model) != ON_A_KINK]
    schemes = f"schemes={json.dumps(entries)}"
    plan = in_double(plan_of(schemes, FEW_STEPS, "measure.every=1", "seeds=1", *MODELS[model]))
    assert len(plan.trials) == len(entries) > len(CASES) / 2
    check_parity(plan, DOUBLE)


@pytest.mark.usefixtures("double")
def test_what_lies_on_a_kink_parts_from_itself_by_a_bit_of_the_input() -> None:
    """So that stacks may part from it as well: the reason for ON_A_KINK."""
    label, model = ON_A_KINK
    entry = next(entry for entry in EVERY_SCHEME if entry["label"] == label)
    plan = in_double(plan_of(f"schemes={json.dumps([entry])}", FEW_STEPS, "measure.every=1", "seeds=1", *MODELS[model]))
    (trial,), data = plan.trials, plan.settings[0].dataset
    bits = torch.randint(-1, 2, data.train.x.shape, generator=torch.Generator().manual_seed(0))
    moved = replace(data, train=replace(data.train, x=data.train.x * (1 + 2.0**-52 * bits)))
    first, second = (numbers(list(train_trial(trial, part))) for part in (data, moved))
    assert max(abs(first[name] - second[name]) / (abs(first[name]) + 1e-9) for name in first) > 1e-4


def alone(trials: Sequence[Trial]) -> list[Trial]:
    """A stack of one."""
    return [trial for trial in trials if trial.key == KEY]


def in_the_middle(trials: Sequence[Trial]) -> list[Trial]:
    """Between trials of other seeds, which have batches of their own."""
    others = [trial for trial in trials if trial.seed != 1]
    return [*others[:3], *alone(trials), *others[3:]]


def among_its_seed(trials: Sequence[Trial]) -> list[Trial]:
    """Between trials of its seed, which share its batches."""
    return sorted(trials, key=lambda trial: trial.seed)


@pytest.mark.parametrize("batched", [False, True], ids=["looped", "batched"])
@pytest.mark.parametrize("neighbours", [alone, in_the_middle, among_its_seed], ids=lambda function: function.__name__)
@pytest.mark.parametrize("model", FAMILIES)
def test_neighbours_do_not_change_a_trial(model: str, neighbours: Neighbours, batched: bool) -> None:
    plan = plan_of("seeds=3", SCHEMES, "train.lr=0.05", *MODELS[model])
    (trial,) = alone(plan.trials)
    wanted = numbers(list(train_trial(trial, plan.settings[0].dataset)))
    found = stacked(plan, neighbours(plan.trials), batched=batched)[KEY]
    assert numbers(found) == pytest.approx(wanted, rel=SINGLE, abs=NOISE[SINGLE])


def test_one_lstm_alone_is_trained_by_torchs_kernel() -> None:
    plan = plan_of(*MODELS["lstm"])
    kinds = [type(Stack(plan.trials[:count], plan.settings[0].dataset, False).model.rnn) for count in (1, 2)]
    assert [kind is LoneLSTM for kind in kinds] == [True, False]


@pytest.mark.slow
def test_final_accuracies_are_statistically_equal(tmp_path: Path) -> None:
    """The 95 % interval of the mean difference, paired by seed, holds 0, or the difference is below 0.2 points."""
    settings = (
        *("data={name: mnist, source: packaged, train_size: 2000, test_size: 1000}", "model.width=32"),
        *("train={lr: 0.1, batch_size: 32, steps: 300}", "measure={}", "seeds=12"),
    )
    serial, in_stacks = (
        np.array(column(run_of(tmp_path, *settings, f"engine={engine}"), "trials", "final_test_accuracy"))
        for engine in ("serial", "stacked")
    )
    differences = in_stacks - serial
    assert len(differences) == 12 and serial.mean() > 0.8
    if np.ptp(differences) == 0:
        assert differences[0] == 0
        return
    low, high = stats.t.interval(0.95, 11, differences.mean(), stats.sem(differences))
    assert low <= 0 <= high or abs(differences.mean()) < 0.002
