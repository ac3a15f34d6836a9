"""A trial diverges at the exact first step whose loss or gradient is not finite, and the others go on."""

from __future__ import annotations

import math
from pathlib import Path

import plain
import pytest
import torch
from small import Heard, column, plan_of, rows, run_of

from winit_cli.engine.tape import Tape


@pytest.mark.parametrize("engine", ["serial", "stacked"])
@pytest.mark.parametrize(("lr", "test_every"), [(1e30, 60), (5.0, 1), (5.0, 60), (2.0, 4), (2.0, 60)])
def test_a_trial_diverges_at_the_exact_first_step(lr: float, test_every: int, engine: str, tmp_path: Path) -> None:
    settings = (
        *("model={name: mlp, depth: 2, width: 6, activation: linear}", "schemes=[xavier_normal]"),
        *("data={name: adding, length: 6, train_size: 40, test_size: 20}", f"train.lr=[{lr}, 0.001]"),
        *("train.steps=60", f"measure={{every: 1, test_every: {test_every}}}", f"engine={engine}"),
    )
    heard = Heard()
    result = run_of(tmp_path, *settings, heard=heard)
    for trial in plan_of(*settings).trials:
        wanted = plain.train(trial).first_bad
        (row,) = rows(result, "trials", trial=trial.key)
        steps = column(result, "curves", "step", trial=trial.key, split="train")
        norm_steps = column(result, "gradients", "step", trial=trial.key)
        assert (wanted is None) == (trial.lr == 0.001)
        if wanted is None:
            assert (row["status"], row["diverged_step"]) == ("ok", "")
            assert steps == list(range(61))
            continue
        assert (row["status"], row["outcome"], row["diverged_step"]) == ("diverged", "diverged", str(wanted))
        assert [row[name] for name in row if name.startswith("final_")] == [""] * 4
        assert steps == sorted(set(norm_steps)) == list(range(wanted))
        assert all(step < wanted for step in column(result, "curves", "step", trial=trial.key))
        assert all(math.isfinite(loss) for loss in column(result, "curves", "loss", trial=trial.key, split="train"))
    assert [status for _, status in heard.done].count("diverged") == 2
    bad = [float(row["diverged_step"]) for row in rows(result, "trials", status="diverged")]
    assert heard.steps <= 2 * 60 + sum(min(60, step + test_every) for step in bad)  # it stops costing time


@pytest.mark.parametrize("engine", ["serial", "stacked"])
def test_divergence_at_step_0_leaves_no_rows(engine: str, tmp_path: Path) -> None:
    result = run_of(
        tmp_path, f"engine={engine}", "schemes=[{scheme: constant, label: huge, val: 1.0e+30}, kaiming_normal]"
    )
    assert {row["diverged_step"] for row in rows(result, "trials", label="huge")} == {"0"}
    assert rows(result, "curves", label="huge") == rows(result, "gradients", label="huge") == []
    assert len(rows(result, "init", label="huge")) == 2 * 6
    assert {row["status"] for row in rows(result, "trials", label="kaiming_normal")} == {"ok"}


def test_a_held_out_loss_that_is_not_finite_is_a_divergence_too() -> None:
    tape, fine = Tape(trials=2, steps=9, every=1, test_every=3, device="cpu"), torch.ones(2)
    for step in range(7):
        if tape.tests(step):
            tape.point(step, "test", torch.tensor([1.0, math.inf]) if step == 3 else fine, fine)
        tape.watch(step, [fine, fine])
        tape.point(step, "train", fine, fine)
    whole, chunk = tape.chunks(6)
    assert tape.diverged == [None, 3] and len(whole.points) == 3 + 7
    assert [(p.step, p.split) for p in chunk.points] == [(0, "test"), (0, "train"), (1, "train"), (2, "train")]


@pytest.mark.parametrize("engine", ["serial", "stacked"])
def test_a_gradient_too_large_for_a_float_norm_is_not_a_divergence(engine: str, tmp_path: Path) -> None:
    result = run_of(
        tmp_path,
        f"engine={engine}",
        "schemes=[{scheme: constant, label: big, val: 1.0e+10}]",
        "train.lr=1e-30",
        "model.activation=linear",
    )
    norms = column(result, "gradients", "grad_norm", param="head.weight")
    assert max(norms) > 2e19  # its square is beyond float32
    assert {row["status"] for row in rows(result, "trials")} == {"ok"}
