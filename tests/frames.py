"""Synthetic runs for the tests of statistics, plots and the report: no training, no torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from winit_cli.store.frames import RunFrames
from winit_cli.store.schema import PROBE

TRIALS = [
    *("trial", "label", "scheme", "lr", "seed", "status", "outcome", "final_train_loss", "final_val_loss"),
    *("final_test_loss", "final_test_accuracy", "diverged_step", "init_hash", "copied_from"),
]
CURVES = ["trial", "label", "lr", "seed", "step", "split", "loss", "accuracy"]
GRADIENTS = ["trial", "label", "lr", "seed", "step", "param", "grad_norm"]
INIT = [
    *("trial", "label", "seed", "param", "shape", "scheme", "rule", "fan_in", "fan_out", "gain"),
    *("mean", "std", "expected_std", "min", "max", "sha256"),
]
UNITS = ["trial", "label", "lr", "seed", "moment", "values"]

# how a label behaves: final loss, gradient factor per layer, weight std, how many seeds diverge
BEHAVIOUR = {
    "kaiming_normal": (0.25, 1.0, 0.10, 0),
    "xavier_normal": (0.35, 0.8, 0.07, 0),
    "zeros": (2.3026, 0.0, 0.0, 0),
    "normal": (40.0, 3.0, 1.0, 2),
    "ones": (2.4, 2.5, 0.0, 3),
    "normal:std=0.001": (2.301, 0.05, 0.001, 0),
}
DEFAULT = (0.5, 0.9, 0.05, 0)
TWELVE = [
    *("pytorch_default", "kaiming_normal", "kaiming_uniform", "xavier_normal", "xavier_uniform"),
    *("lecun_normal", "orthogonal", "sparse", "zeros", "ones", "normal:std=0.001", "normal"),
]


def make_run(
    path: Path,
    labels: list[str] | None = None,
    *,
    seeds: int = 3,
    lrs: tuple[float, ...] = (0.05,),
    layers: int = 4,
    task: str = "classification",
    length: int | None = None,
    state: str = "complete",
    copied: str | None = None,
) -> RunFrames:
    """A run whose labels behave as in BEHAVIOUR; ``length`` makes the first-layer units vectors."""
    labels = ["kaiming_normal", "zeros", "normal"] if labels is None else labels
    tables: dict[str, list[list[Any]]] = {name: [] for name in ("trials", "curves", "gradients", "init", "units")}
    for index, label in enumerate(labels):
        for lr in lrs:
            for seed in range(seeds):
                _trial(tables, index, label, lr, seed, layers, task, length, copied)
    config = {
        "name": "synthetic",
        "model": {"name": "mlp", "depth": layers - 1},
        "data": {"name": "mnist", "source": "packaged"},
        "schemes": [{"label": label, "scheme": _scheme(label)} for label in labels],
        "train": {"optimizer": "sgd", "lr": list(lrs), "steps": 100, "batch_size": 64},
        "seeds": list(range(seeds)),
        "measure": {"every": 10, "test_every": 50},
        "baseline": labels[0],
    }
    trials = pd.DataFrame(tables["trials"], columns=TRIALS)
    counts = {status: int((trials["status"] == status).sum()) for status in ("ok", "diverged", "failed", "pending")}
    return RunFrames(
        path=path,
        config=config,
        env={"winit": "0.1.0", "python": "3.11", "cpu": "some cpu", "gpu": None, "threads": 2},
        status={"state": state, "trials": counts},
        data={
            "task": task,
            "constant_loss": math.log(10) if task == "classification" else 1 / 6,
            "outputs": 10 if task == "classification" else 1,
            "source": "packaged",
            "notes": ["5,000 real images"],
        },
        labels=labels,
        trials=trials,
        curves=pd.DataFrame(tables["curves"], columns=CURVES),
        gradients=pd.DataFrame(tables["gradients"], columns=GRADIENTS),
        init=pd.DataFrame(tables["init"], columns=INIT),
        timings=pd.DataFrame({"trial": trials["trial"], "seconds": 1.0}),
        units=pd.DataFrame(tables["units"], columns=UNITS),
        **{name: pd.DataFrame(columns=list(columns)) for name, columns in PROBE.items()},
    )


def _scheme(label: str) -> str:
    return label.partition("@")[0].partition(":")[0]


def _behaviour(label: str) -> tuple[float, float, float, int]:
    base = label.partition("@")[0]
    return BEHAVIOUR.get(base, BEHAVIOUR.get(_scheme(label), DEFAULT))


def _trial(
    tables: dict[str, list[list[Any]]],
    index: int,
    label: str,
    lr: float,
    seed: int,
    layers: int,
    task: str,
    length: int | None,
    copied: str | None,
) -> None:
    final, slope, std, diverging = _behaviour(label)
    draw = np.random.default_rng([index, seed, int(lr * 1000)])
    scale = 1.0 if task == "classification" else 0.1
    start = (2.3 if final < 3 else 900.0) * scale
    died = 40 if seed < diverging else None
    classify = task == "classification"
    name = f"{label}/{lr}/{seed}"
    key = [name, label, lr, seed]
    noise = 0.0 if slope == 0 else float(draw.normal(0, 0.05))
    end = scale * final * (1 + noise)
    accuracy = max(0.1, min(1.0, 1 - end / 2.5)) if classify and slope else 0.1
    blank = died is not None
    status = "diverged" if blank else "ok"
    outcome = "diverged" if blank else ("learned" if final < 2.2 else "stuck")
    copy = copied if copied and seed == 0 else None
    shown = accuracy if classify else None
    finals = [None] * 4 if blank else [end, None, end * 1.1, shown]
    tables["trials"].append(
        [name, label, _scheme(label), lr, seed, status, outcome, *finals, died, f"{index:08x}", copy]
    )
    for step in range(0, 101, 10):
        if died is not None and step >= died:
            break
        progress = 1 - math.exp(-step / 30)
        loss = start + (end - start) * progress + (0.02 * scale * float(draw.normal()) if slope else 0.0)
        if blank:
            loss = 900.0 * scale * (1 + step) ** 3
        reached = 0.1 + (accuracy - 0.1) * progress if classify else None
        tables["curves"].append([*key, step, "train", abs(loss), reached])
        if step % 50 == 0:
            tables["curves"].append([*key, step, "test", abs(loss) * 1.1, reached])
        for layer in range(layers):
            weight = f"layers.{layer}" if layer < layers - 1 else "head"
            norm = 0.3 * slope ** (layers - 1 - layer) * (1 - 0.6 * progress) * math.exp(0.1 * draw.normal())
            tables["gradients"].append([*key, step, f"{weight}.weight", norm if layer < layers - 1 or slope else 0.2])
            tables["gradients"].append([*key, step, f"{weight}.bias", 0.1])
    _parameters(tables, key, layers, std, draw)
    _units(tables, key, std, draw, length, blank)


def _parameters(
    tables: dict[str, list[list[Any]]], key: list[Any], layers: int, std: float, draw: np.random.Generator
) -> None:
    name, label, _, seed = key
    for layer in range(layers):
        weight = f"layers.{layer}" if layer < layers - 1 else "head"
        expected = std * (1 + 0.5 * (layer in (0, layers - 1)))
        measured = expected * (1 + 0.01 * float(draw.normal()))
        row = [name, label, seed, f"{weight}.weight", "100x100", _scheme(label), "all", 100, 100, 1.0]
        tables["init"].append([*row, 0.0, measured, expected, -3 * std, 3 * std, "ab" * 32])
        bias = [name, label, seed, f"{weight}.bias", "100", "zeros", "bias", None, None, None]
        tables["init"].append([*bias, 0.0, 0.0, 0.0, 0.0, 0.0, "cd" * 32])


def _units(
    tables: dict[str, list[list[Any]]],
    key: list[Any],
    std: float,
    draw: np.random.Generator,
    length: int | None,
    diverged: bool,
) -> None:
    shape = (8, length) if length else (8, 28, 28)
    constant = 1.0 if key[1].partition("@")[0] == "ones" else 0.0
    start = constant + std * draw.normal(size=shape)
    for moment, values in (("start", start), ("end", start + 0.3 * std * draw.normal(size=shape))):
        if moment == "start" or not diverged:
            tables["units"].append([*key, moment, values.astype(np.float32)])
