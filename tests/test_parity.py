"""The stacked engine gives what the serial one gives: beginnings to the bit, the rest but for rounding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import bytes_of, plan_of, rows, run_of

from winit_cli.data.dataset import Part
from winit_cli.engine.records import Chunk, Finished, Started
from winit_cli.engine.serial import train_trial
from winit_cli.engine.stack import Stack
from winit_cli.engine.stacked import train_stack
from winit_cli.engine.stacks import divide
from winit_cli.plan import Plan, Trial

IMAGES = "data={name: digits, train_size: 60, test_size: 30}"
RECALL = "data={name: recall, lag: 4, symbols: 3, train_size: 40, test_size: 20}"
COPYING = "data={name: copying, lag: 3, symbols: 3, train_size: 40, test_size: 20}"
ADDING = "data={name: adding, length: 6, train_size: 40, test_size: 20}"
MODELS: dict[str, tuple[str, ...]] = {
    "mlp": ("data.val_size=9",),
    "mlp tanh, no bias": ("model={name: mlp, width: 6, depth: 2, activation: tanh, bias: false}",),
    "mlp crelu": ("model={name: mlp, width: 6, depth: 2, activation: crelu}",),
    "mlp batch norm": ("model.norm=batch",),
    "mlp layer norm": ("model.norm=layer",),
    "mlp regression": (ADDING,),
    "cnn": ("model={name: cnn, channels: [3, 4]}", IMAGES),
    "cnn batch norm": ("model={name: cnn, channels: [3, 4], repeat: 2, norm: batch, pool: avg}", IMAGES),
    "cnn layer norm": ("model={name: cnn, channels: [3, 4], norm: layer, kernel_size: 2}", IMAGES),
    "resnet": ("model={name: resnet, width: 3, depth: 2}", IMAGES),
    "resmlp": ("model={name: resmlp, width: 6, depth: 2, branch_layers: 1, branch_scale: learned}",),
    "transformer": ("model={name: transformer, width: 6, depth: 1, heads: 2, branch_scale: learned}", IMAGES),
    "transformer post": (
        "model={name: transformer, width: 6, depth: 1, heads: 3, norm: post, skip_scale: 1.2, activation: relu}",
        COPYING,
    ),
    "lstm": ("model={name: lstm, hidden: 6, layers: 2}", RECALL),
    "lstm on images": ("model={name: lstm, hidden: 6}", IMAGES),
    "gru": ("model={name: gru, hidden: 6}", COPYING),
    "rnn": ("model={name: rnn, hidden: 6, layers: 2}", RECALL),
    "rnn relu": ("model={name: rnn, hidden: 6, nonlinearity: relu}", ADDING),
}
TRAINED = {
    "sgd": "train={lr: [0.05, 0.1], batch_size: 8, steps: 4, momentum: 0.9, weight_decay: 0.01, clip_norm: 0.5}",
    "nesterov": "train={lr: [0.05, 0.1], batch_size: 8, steps: 4, momentum: 0.8, nesterov: true, schedule: linear}",
    "adam": "train={lr: [0.01, 0.02], batch_size: 8, steps: 4, optimizer: adam, schedule: cosine}",
    "adamw": "train={lr: [0.01, 0.02], batch_size: 8, steps: 4, optimizer: adamw, warmup: 2}",
    "rmsprop": "train={lr: [0.001, 0.002], batch_size: 8, steps: 4, optimizer: rmsprop, momentum: 0.5}",
}
SCHEMES = "schemes=[pytorch_default, kaiming_normal, zeros, ones]"
NO_ONES = SCHEMES.replace(", ones", "")  # of features that are equal a norm leaves rounding alone
DIVERGES = "schemes=[kaiming_normal, {scheme: constant, label: huge, val: 1.0e+30}, xavier_normal]"
DOUBLE, SINGLE = 1e-6, 2e-5  # relative
NOISE = {DOUBLE: 1e-9, SINGLE: 2e-6}  # of a gradient that is zero in theory
EQUAL = ("zeros", "ones")  # rounding alone decides on which side of relu's kink their units lie
KINK = 1e-8
PICTURES = 2e-5  # absolute

Records = list[Started | Chunk | Finished]
Found = dict[str, Records]


def stacked(plan: Plan, trials: Sequence[Trial], **more: Any) -> Found:
    """What one stack of all trials yields, by trial."""
    found: Found = {trial.key: [] for trial in trials}
    for records in train_stack(trials, plan.settings[0].dataset, **more):
        for place, record in records:
            found[trials[place].key].append(record)
    return found


def numbers(records: Records) -> dict[str, float]:
    """Everything that was measured, by what and when."""
    found: dict[str, float] = {}
    for record in records:
        if isinstance(record, Chunk):
            found |= {f"{p.split} loss {p.step}": p.loss for p in record.points}
            for norms in record.norms:
                found |= {f"norm {i} {norms.step}": v for i, v in enumerate(norms.values) if v is not None}
    return found


@pytest.fixture
def double() -> Iterator[None]:
    """New tensors are in double precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _every_pair() -> Iterator[Any]:
    """Every model with every optimizer; optimizers see one vector whatever the model is, so all of them with the first
    model and two of them with the others are fast."""
    for model in MODELS:
        for train in TRAINED:
            is_fast = model == next(iter(MODELS)) or train in ("sgd", "adam")
            yield pytest.param(model, train, marks=() if is_fast else pytest.mark.slow, id=f"{model}-{train}")


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(("model", "train"), list(_every_pair()))
def test_stacked_equals_serial(model: str, train: str) -> None:
    schemes = NO_ONES if model.startswith("transformer") else SCHEMES
    plan = plan_of("engine=stacked", schemes, TRAINED[train], *MODELS[model])
    check_parity(in_double(plan), DOUBLE, batched=None)


@pytest.mark.parametrize("model", MODELS)
def test_stacked_equals_serial_in_single_precision(model: str) -> None:
    """With sgd; adaptive optimizers make whole updates of a gradient that is nothing but rounding, as does a norm over
    channels or features that are equal but for rounding (``ones``)."""
    schemes = NO_ONES if model.startswith(("cnn layer norm", "transformer")) else SCHEMES
    check_parity(plan_of("engine=stacked", schemes, TRAINED["sgd"], *MODELS[model]), SINGLE)


def in_double(plan: Plan) -> Plan:
    """The plan with its data in double precision."""
    data = plan.settings[0].dataset
    parts = {name: part_in_double(getattr(data, name)) for name in ("train", "val", "test")}
    return replace(plan, settings=(replace(plan.settings[0], dataset=replace(data, **parts)),))


def part_in_double(part: Part | None) -> Part | None:
    if part is None:
        return None
    return Part(part.x.double(), part.y.double() if part.y.is_floating_point() else part.y)


def check_parity(plan: Plan, rounding: float, *, batched: bool | None = False) -> None:
    """Trials by themselves against all of them as one stack: every label at every rate, at each seed in turn.

    The stack is trained looped or ``batched``, or both, one after the other, if that is ``None``.
    """
    trials = sorted(plan.trials, key=lambda trial: trial.lr)
    labels, seeds = (list(dict.fromkeys(getattr(trial, name) for trial in trials)) for name in ("label", "seed"))
    stacks = [stacked(plan, trials, batched=way) for way in ((False, True) if batched is None else (batched,))]
    for trial in trials:
        if trial.seed == seeds[labels.index(trial.label) % len(seeds)]:
            wanted = list(train_trial(trial, plan.settings[0].dataset))
            for found in stacks:
                _check_equal(trial, found[trial.key], wanted, rounding)


def _check_equal(trial: Trial, got: Records, wanted: Records, rounding: float) -> None:
    assert [type(record) for record in got] == [type(record) for record in wanted]
    assert isinstance(wanted[0], Started) and isinstance(got[0], Started)
    assert got[0].init_hash == wanted[0].init_hash
    assert isinstance(wanted[-1], Finished) and isinstance(got[-1], Finished)
    assert got[-1].diverged_step == wanted[-1].diverged_step
    noise = max(NOISE[rounding], KINK if trial.label in EQUAL else 0)
    assert numbers(got) == pytest.approx(numbers(wanted), rel=rounding, abs=noise)
    assert np.array_equal(got[0].units, wanted[0].units)
    assert got[-1].units == pytest.approx(wanted[-1].units, rel=SINGLE, abs=PICTURES)


def test_a_stack_may_have_any_neighbours() -> None:
    plan = plan_of("engine=stacked", SCHEMES)
    together = stacked(plan, plan.trials)
    for trials in (plan.trials[:1], plan.trials[::-1], plan.trials[1::2]):
        for key, records in stacked(plan, trials).items():
            assert numbers(records) == pytest.approx(numbers(together[key]), rel=SINGLE, abs=NOISE[SINGLE])


def test_a_trial_that_diverges_touches_no_other() -> None:
    plan = plan_of("engine=stacked", DIVERGES)
    calm = plan_of("engine=stacked", DIVERGES.replace("1.0e+30", "0.1"))
    found, wanted = stacked(plan, plan.trials), stacked(calm, calm.trials)
    for trial in plan.trials:
        if trial.label == "huge":
            last = found[trial.key][-1]
            assert isinstance(last, Finished) and last.diverged_step == 0 and numbers(found[trial.key]) == {}
        else:
            assert numbers(found[trial.key]) == numbers(wanted[trial.key])


def test_two_stacked_runs_are_equal_to_the_byte(tmp_path: Path) -> None:
    first = run_of(tmp_path / "a", SCHEMES, "engine=stacked", "seeds=4")
    assert bytes_of(run_of(tmp_path / "b", SCHEMES, "engine=stacked", "seeds=4")) == bytes_of(first)
    assert len(rows(first, "trials", status="ok")) == 16


def test_a_model_without_a_stacked_form_is_trained_serially_and_says_so() -> None:
    assert plan_of("engine=stacked").settings[0].notes == ()
    lstm = (*MODELS["lstm"], "precision=bf16")
    setting = plan_of("engine=stacked", *lstm).settings[0]
    assert setting.engine == "serial"
    why = "since lstm has no form for many trials with precision bf16"
    assert setting.notes == (f"trained one trial after another (engine: serial), {why}",)
    assert plan_of("engine=auto", *lstm).settings[0].notes == ()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("seeds", [1, 30])
def test_auto_stacks_whatever_can_be_stacked_however_many_trials_there_are(model: str, seeds: int) -> None:
    assert plan_of("engine=auto", f"seeds={seeds}", *MODELS[model]).engine == "stacked"
    assert plan_of(f"seeds={seeds}", *MODELS[model]).engine == "stacked"
    lone = ("precision=bf16",) if model in ("lstm", "gru", "rnn") else ("engine=serial",)
    assert plan_of(f"seeds={seeds}", *MODELS[model], *lone).engine == "serial"


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_trials_are_divided_evenly_within_the_budget(workers: int) -> None:
    trials = plan_of("engine=stacked", SCHEMES, "seeds=5", "train.lr=[0.1, 0.2]").trials
    for memory in (1, 10**5, 10**9):
        stacks = divide(trials, range(len(trials)), memory, workers)
        assert sorted(position for stack in stacks for position in stack) == list(range(40))
        sizes = [len(stack) for stack in stacks]
        assert max(sizes) - min(sizes) <= 1 and (memory > 1 or max(sizes) == 1)
        for stack in stacks:
            rates = [trials[position].lr for position in stack]
            assert rates == sorted(rates)


@pytest.mark.parametrize("model", ["lstm", "gru", "rnn"])
def test_what_recurrent_layers_keep_from_step_to_step_has_no_past(model: str) -> None:
    """Or else each step would hold on to all those before it."""
    plan = plan_of("engine=stacked", f"model={{name: {model}, hidden: 6, layers: 2}}", RECALL)
    stack = Stack(plan.trials, plan.settings[0].dataset, batched=True)
    for step in range(1, 3):
        stack.measure(step)
        stack.update(step)
    kept = [memory for layer in stack.model.modules() for memory in getattr(layer, "_kept", {}).values()]
    assert len(kept) == 2 and not any(memory.rows.requires_grad for memory in kept)
