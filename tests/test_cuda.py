"""What holds on a GPU, where there is one, and where it is hidden."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small import BASE, Heard, rows
from test_parity import MODELS, NOISE, SINGLE

from winit_cli.config import override, parse, resolve
from winit_cli.plan import make_plan
from winit_cli.runner import How, Result, run_plan

SCHEMES = "schemes=[pytorch_default, kaiming_normal, xavier_uniform, orthogonal]"

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU here")


def run_on(device: str, results: Path, *settings: str) -> Result:
    """A small run on a device."""
    document = parse(BASE, "small.yaml")
    for setting in settings:
        override(document, setting)
    return run_plan(make_plan(resolve(document), device), results, Heard(), How())


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
@pytest.mark.parametrize("model", MODELS)
def test_stacked_equals_serial_on_a_gpu(model: str, tmp_path: Path) -> None:
    settings = (SCHEMES, "train={lr: 0.05, batch_size: 8, steps: 4}", *MODELS[model])
    stacked, serial = (run_on("cuda", tmp_path, *settings, f"engine={engine}") for engine in ("stacked", "serial"))
    assert measured(stacked) == pytest.approx(measured(serial), rel=SINGLE, abs=NOISE[SINGLE])


def test_a_hidden_gpu_is_none() -> None:
    code = "from winit_cli.environment import resolve_device as r; print(r('auto')); r('cuda')"
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    found = subprocess.run([sys.executable, "-c", code], env=hidden, capture_output=True, text=True, check=False)
    assert found.stdout == "cpu\n"
    assert "--device cuda: torch sees no CUDA GPU here; use --device cpu, or auto" in found.stderr
