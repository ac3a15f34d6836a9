"""Losses against their formulas, alone and of many trials at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small import rows, run_of
from torch import Tensor

from winit_cli.losses import LOSSES
from winit_cli.tasks import default_loss

DRAWS = torch.Generator().manual_seed(0)
CLASSES = torch.randint(4, (3, 6), generator=DRAWS)
LOGITS = torch.randn(3, 6, 4, generator=DRAWS, dtype=torch.float64)


def test_binary_cross_entropy_is_a_sum_over_sigmoids() -> None:
    p = torch.sigmoid(LOGITS[0])
    is_class = torch.arange(4) == CLASSES[0][:, None]
    by_hand = -torch.where(is_class, p.log(), (1 - p).log()).sum(1).mean()
    assert LOSSES["binary_cross_entropy"].function(LOGITS[0], CLASSES[0]).item() == pytest.approx(by_hand.item())


@pytest.mark.parametrize("name", LOSSES)
def test_many_trials_at_once(name: str) -> None:
    loss = LOSSES[name]
    y: Tensor = LOGITS.flip(1) if loss.task == "regression" else CLASSES
    assert loss.stacked is not None
    alone = [loss.function(out, target) for out, target in zip(LOGITS, y, strict=True)]
    torch.testing.assert_close(loss.stacked(LOGITS, y), torch.stack(alone))


def test_the_default_of_a_task() -> None:
    assert (default_loss("classification"), default_loss("regression")) == ("cross_entropy", "mse")


def test_it_trains_and_zeros_are_stuck(tmp_path: Path) -> None:
    settings = ("train.loss=binary_cross_entropy", "schemes=[kaiming_normal, zeros]", "train.steps=40", "train.lr=0.2")
    done = run_of(tmp_path, *settings)
    outcomes = {row["label"]: row["outcome"] for row in rows(done, "trials")}
    assert outcomes == {"kaiming_normal": "learned", "zeros": "stuck"}
