"""What holds on a GPU, where there is one, and where it is hidden."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small import BASE, Heard, bytes_of, rows
from test_parity import DOUBLE, MODELS, NO_ONES, NOISE, SINGLE, TRAINED, check_parity, double, in_double
from test_resume import Stop, break_off

from winit_cli.config import override, parse, resolve
from winit_cli.engine.numerics import replayable
from winit_cli.engine.replay import EAGER, Replay
from winit_cli.engine.stack import Stack
from winit_cli.plan import Plan, make_plan
from winit_cli.runner import How, Result, run_plan

__all__ = ["double"]  # a fixture

SCHEMES = "schemes=[pytorch_default, kaiming_normal, xavier_uniform, orthogonal]"
STEPS = EAGER + 6
RATES = {"0.05, 0.1": "0.0625, 0.125", "0.01, 0.02": "0.0078125, 0.015625", "0.001, 0.002": "0.0009765625, 0.001953125"}
LONGER = {name: text.replace("steps: 4", f"steps: {STEPS}") for name, text in TRAINED.items()}

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU here")


def exact(train: str) -> str:
    """The same with learning rates that single precision holds exactly: on a GPU they lie there as such."""
    for rates, powers in RATES.items():
        train = train.replace(rates, powers)
    return train


def plan_on(device: str, *settings: str) -> Plan:
    """A small plan on a device."""
    document = parse(BASE, "small.yaml")
    for setting in settings:
        override(document, setting)
    return make_plan(resolve(document), device)


def placed(plan: Plan) -> Plan:
    """The plan with its data on its device."""
    (setting,) = plan.settings
    return replace(plan, settings=(replace(setting, dataset=setting.dataset.to(setting.device)),))


def check(plan: Plan, rounding: float) -> None:
    """Stacked against serial, set up as in a run."""
    with replayable("cuda", 1, "fp32"):
        check_parity(placed(plan), rounding, batched=True)


def run_on(device: str, results: Path, *settings: str) -> Result:
    """A small run on a device."""
    result = run_plan(plan_on(device, *settings), results, Heard(), How())
    assert not result.failures
    return result


def measured(result: Result) -> dict[str, float]:
    """Losses and gradient norms, by trial, step and what they are of."""
    losses = {f"{row['trial']} {row['split']} {row['step']}": float(row["loss"]) for row in rows(result, "curves")}
    return losses | {
        f"{row['trial']} {row['param']} {row['step']}": float(row["grad_norm"])
        for row in rows(result, "gradients")
        if row["grad_norm"]
    }


@needs_gpu
@pytest.mark.parametrize("model", MODELS)
def test_trials_begin_with_the_bits_that_they_have_on_a_processor(model: str, tmp_path: Path) -> None:
    gpu, cpu = (run_on(device, tmp_path, SCHEMES, "train.steps=1", *MODELS[model]) for device in ("cuda", "cpu"))
    assert gpu.directory != cpu.directory
    hashes = [[row["init_hash"] for row in rows(result, "trials")] for result in (gpu, cpu)]
    assert hashes[0] == hashes[1] and all(hashes[0])


@needs_gpu
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("train", TRAINED)
@pytest.mark.parametrize("model", MODELS)
def test_stacked_equals_serial_on_a_gpu(model: str, train: str) -> None:
    check(in_double(plan_on("cuda", NO_ONES, exact(TRAINED[train]), *MODELS[model])), DOUBLE)


@needs_gpu
@pytest.mark.parametrize("model", ["mlp", "cnn", "cnn batch norm", "resnet", "transformer", "lstm on images", "gru"])
def test_stacked_equals_serial_on_a_gpu_in_single_precision(model: str) -> None:
    check(plan_on("cuda", NO_ONES, TRAINED["sgd"], *MODELS[model]), SINGLE)


@needs_gpu
@pytest.mark.parametrize("model", MODELS)
def test_the_step_of_a_stack_is_captured(model: str) -> None:
    plan = placed(plan_on("cuda", *MODELS[model]))
    stack = Stack(plan.trials, plan.settings[0].dataset, batched=True)
    for step in range(EAGER + 1):
        stack.measure(step)
        stack.update(step)
    assert stack.is_captured


@needs_gpu
def test_work_that_cannot_be_captured_runs_each_time() -> None:
    total = torch.zeros((), device="cuda")

    def add() -> None:
        total.add_(1)

    def wait_and_add() -> None:
        total.add_(1 + 0 * total.item())

    waits, adds = Replay("cuda"), Replay("cuda")
    for _ in range(EAGER + 3):
        waits(wait_and_add)
        adds(add)
    assert (waits.is_captured, adds.is_captured) == (False, True)
    assert total.item() == 2 * (EAGER + 3)


@needs_gpu
@pytest.mark.parametrize("optimizer", LONGER)
@pytest.mark.parametrize("model", ["mlp", "cnn batch norm", "lstm", "transformer"])
def test_a_run_on_a_gpu_replays_and_resumes_to_the_same_bytes(
    model: str, optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (SCHEMES, LONGER[optimizer], *MODELS[model])
    settings = (*settings, "engine=stacked", "checkpoint_seconds=1e-9")
    first, second = (run_on("cuda", tmp_path / name, *settings) for name in ("first", "second"))
    assert bytes_of(first) == bytes_of(second)
    with monkeypatch.context() as patch, pytest.raises(Stop):
        break_off(patch, plan_on("cuda", *settings).trials[0].key, Stop(), after=4)
        run_on("cuda", tmp_path / "third", *settings)
    assert bytes_of(run_on("cuda", tmp_path / "third", *settings)) == bytes_of(first)


@needs_gpu
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
@pytest.mark.parametrize("model", ["mlp", "cnn", "lstm", "gru", "transformer"])
def test_lower_precisions_train_nearly_alike(model: str, precision: str, tmp_path: Path) -> None:
    settings = ("train={lr: 0.05, batch_size: 8, steps: 8}", *MODELS[model], "engine=stacked")
    full, lower = (run_on("cuda", tmp_path, *settings, f"precision={name}") for name in ("fp32", precision))
    losses = [[float(row["loss"]) for row in rows(result, "curves")] for result in (full, lower)]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


@needs_gpu
def test_a_trial_that_diverges_on_a_gpu_leaves_the_others_alone(tmp_path: Path) -> None:
    steps = f"train={{lr: 0.05, batch_size: 8, steps: {STEPS}}}"
    huge = "schemes=[kaiming_normal, {scheme: constant, label: huge, val: 1.0e+30}, xavier_normal]"
    among = run_on("cuda", tmp_path / "among", huge, steps, "engine=stacked")
    alone = run_on("cuda", tmp_path / "alone", "schemes=[kaiming_normal, xavier_normal]", steps, "engine=serial")
    assert [row["status"] for row in rows(among, "trials", label="huge")] == ["diverged"] * 2
    others = {key: value for key, value in measured(among).items() if not key.startswith("huge")}
    assert others == pytest.approx(measured(alone), rel=SINGLE, abs=NOISE[SINGLE])


def test_a_hidden_gpu_is_none() -> None:
    code = "from winit_cli.environment import resolve_device as r; print(r('auto')); r('cuda')"
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    found = subprocess.run([sys.executable, "-c", code], env=hidden, capture_output=True, text=True, check=False)
    assert found.stdout == "cpu\n"
    assert "--device cuda: torch sees no CUDA GPU here; use --device cpu, or auto" in found.stderr
