"""What a stack leaves on disk when the run stops in the middle of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small import bytes_of, rows, run_of

from winit_cli import orders, stopping
from winit_cli.engine.records import Finished
from winit_cli.engine.stacked import train_stack

ONE_DIVERGES = (
    "engine=stacked",
    "schemes=[xavier_normal, {scheme: normal, std: 0.9}]",
    "model={name: mlp, width: 6, depth: 2, activation: linear}",
    "data={name: adding, length: 6, train_size: 40, test_size: 20}",
    "train={lr: 0.05, batch_size: 8, steps: 30}",
    "measure={every: 1, test_every: 10}",
)


class Stop(BaseException):
    """Something that ends the process, like Ctrl-C."""


def test_a_divergence_after_a_checkpoint_commits_its_own_trials_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others go on from their checkpoint, and must not find what they had measured behind it."""
    wanted = run_of(tmp_path / "whole", *ONE_DIVERGES)
    assert [row["status"] for row in rows(wanted, "trials")] == ["ok", "ok", "diverged", "diverged"]
    asked = 0

    def only_once(timer: stopping.Timer) -> bool:
        nonlocal asked
        asked += 1
        timer.is_waiting = timer.is_waiting or asked == 2
        return asked == 2

    def stopping_after_the_divergence(*arguments: Any, **named: Any) -> Iterator[Any]:
        for records in train_stack(*arguments, **named):
            yield records
            if any(isinstance(record, Finished) for _, record in records):
                raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(stopping.Timer, "is_due", only_once)
        patch.setattr(orders, "train_stack", stopping_after_the_divergence)
        with pytest.raises(Stop):
            run_of(tmp_path / "broken", *ONE_DIVERGES)
    assert bytes_of(run_of(tmp_path / "broken", *ONE_DIVERGES)) == bytes_of(wanted)
