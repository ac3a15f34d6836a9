"""The fast engine: all trials of a stack as one computation. Agrees with ``serial``, which is easier to read.

S trials in a stack, B batch. Nothing that a trial computes depends on the numbers of another.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

import torch

from winit_cli.data.dataset import Dataset
from winit_cli.engine.records import Checkpoint, Chunk, Finished, Started
from winit_cli.engine.stack import Stack
from winit_cli.plan import Trial

Record = Started | Chunk | Finished


def train_stack(
    trials: Sequence[Trial],
    data: Dataset,
    checkpoints: Sequence[Checkpoint | None] = (),
    is_due: Callable[[], bool] = lambda: False,
    *,
    ended: Sequence[bool] = (),
    batched: bool | None = None,
) -> Generator[list[tuple[int, Record]], None, None]:
    """Initialize and train trials of one setting on ``data``, which lies on their device, or go on from checkpoints.

    Yields lists of what ``train_trial`` yields, each with the place of its trial in the stack. Trials that ``ended``
    before keep their place, since the last bits of a product may depend on it, and yield nothing but their beginning.
    ``checkpoints`` are those of one step of all other trials, or ``None`` for all. ``batched`` convolutions and
    recurrent layers are the default on a GPU.
    """
    stack = Stack(trials, data, torch.device(trials[0].setting.device).type != "cpu" if batched is None else batched)
    yield list(enumerate(stack.started))
    start = stack.restore(checkpoints) if any(checkpoints) else 0
    alive = [not has_ended for has_ended in ended] or [True] * len(trials)
    for step in range(start, stack.steps + 1):
        stack.measure(step)
        if step < stack.steps:
            stack.update(step)
        is_checkpoint = step < stack.steps and is_due()
        if is_checkpoint or stack.tape.tests(step):
            records = _read(stack, step, alive, is_checkpoint)
            yield records
            if not any(alive):
                return
    yield [(place, stack.finished(place)) for place, lives in enumerate(alive) if lives]


def _read(stack: Stack, step: int, alive: list[bool], is_checkpoint: bool) -> list[tuple[int, Record]]:
    """What was measured up to a step by the trials that are ``alive``; those that diverged end here."""
    records: list[tuple[int, Record]] = []
    chunks = stack.tape.chunks(step)
    were = [place for place, lives in enumerate(alive) if lives]
    for place in were:
        alive[place] = stack.tape.diverged[place] is None
    going_on = [place for place in were if alive[place]]
    checkpoints = dict(zip(going_on, stack.take(step + 1, going_on), strict=True)) if is_checkpoint else {}
    for place in were:
        records.append((place, replace(chunks[place], checkpoint=checkpoints.get(place))))
        if not alive[place]:
            records.append((place, stack.finished(place)))
    return records
