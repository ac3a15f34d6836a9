"""The reference engine: plain PyTorch, one trial after another, readable as a tutorial.

P parameters, B batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from winit_cli.data.dataset import Dataset, Part
from winit_cli.engine.batches import batches
from winit_cli.engine.checkpoint import TrialState
from winit_cli.engine.evaluate import Scoring, accuracy_of, autocast, evaluate, no_accuracy
from winit_cli.engine.initial import initialized, started
from winit_cli.engine.optimizer import make_optimizer, rate_factor, set_rate
from winit_cli.engine.records import Array, Checkpoint, Chunk, Finished, Split, Started
from winit_cli.engine.tape import Tape
from winit_cli.engine.units import first_units
from winit_cli.plan import Trial
from winit_cli.rng import forked, seed_globals
from winit_cli.schemes.audit import InitRecord
from winit_cli.setting import Setting

FINAL_TRAIN_EXAMPLES = 5000
LEARNED = 0.01  # of the best constant predictor's loss; a trial that is not better by so much is stuck

Scores = tuple[Tensor, Tensor]


def train_trial(
    trial: Trial, data: Dataset, checkpoint: Checkpoint | None = None, is_due: Callable[[], bool] = lambda: False
) -> Iterator[Started | Chunk | Finished]:
    """Initialize and train one trial on ``data``, which lies on the trial's device, or go on from a checkpoint.

    Yields ``Started``, then a ``Chunk`` whenever the test part has been measured and, with a checkpoint inside,
    whenever ``is_due`` says so after an update, then ``Finished``. Where a user's own model draws from global
    generators, these are seeded by trial and step, and put back as the trial ends.
    """
    with forked(trial.seed, "trial") if trial.setting.is_foreign else contextlib.nullcontext():
        yield from _train_trial(trial, data, checkpoint, is_due)


def _train_trial(
    trial: Trial, data: Dataset, checkpoint: Checkpoint | None, is_due: Callable[[], bool]
) -> Iterator[Started | Chunk | Finished]:
    setting, seed = trial.setting, trial.seed
    train, steps = setting.train, setting.steps
    initial = initialized(trial)
    yield started(initial, setting.task.input_shape)

    model, records = initial.model, initial.records
    model.to(setting.device)
    named = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    trained = list(named.values())
    scoring = Scoring(setting.loss.function, accuracy_of if setting.has_accuracy else no_accuracy)
    places = _places(model, records, setting.device)
    optimizer = make_optimizer(trained, train, trial.lr, [initial.rates[name] for name in named])
    state = TrialState(model, trained, optimizer, [model, scoring.loss] if setting.is_foreign else [])
    start = checkpoint.step if checkpoint else 0
    before = state.restore(checkpoint) if checkpoint else torch.zeros(())
    order = batches(seed, len(data.train.x), train.batch_size, start)
    tape = Tape(1, steps, setting.every, setting.test_every, setting.device)
    finals: dict[Split, Scores] = {}
    precision = setting.experiment.general.precision
    for step in range(start, steps + 1):
        _reseed(setting, seed, "evaluate", step)
        if tape.tests(step):
            scores = {split: evaluate(model, part, scoring, precision) for split, part in held_out(data).items()}
            for split, score in scores.items():
                tape.point(step, split, *_of_one(score))
            if step == steps:  # before the batch below, whose forward pass would move batch-norm statistics
                finals = {"train": evaluate(model, first_examples(data), scoring, precision), **scores}
                tape.watch(step, [final[0].unsqueeze(0) for final in finals.values()])
        index = next(order)
        x, y = data.train.x[index], data.train.y[index]
        _reseed(setting, seed, "step", step)
        with autocast(precision, x.device.type):
            out = model(x)
            loss = scoring.loss(out, y)
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        tape.watch(step, [loss.detach().unsqueeze(0), *(gradient.unsqueeze(0) for gradient in gradients)])
        before = loss.detach() if step == 0 else before
        if tape.measures(step):
            tape.point(step, "train", *_of_one((loss.detach(), scoring.accuracy(out, y))))
            norms = torch.stack(torch._foreach_norm(gradients, 2, torch.float64))
            everywhere = norms.new_full((len(records),), float("nan")).index_copy(0, places, norms)
            tape.gradients(step, everywhere.unsqueeze(0))
        if step < steps:
            update(optimizer, trained, trial.lr * rate_factor(step, train), train.clip_norm)
        is_checkpoint = step < steps and is_due()
        if is_checkpoint or tape.tests(step):
            (chunk,) = tape.chunks(step)
            (diverged_step,) = tape.diverged
            whole = is_checkpoint and diverged_step is None
            yield replace(chunk, checkpoint=state.take(step + 1, before)) if whole else chunk
            if diverged_step is not None:
                break
    # without a best constant output, a trial has learned if it is better than before its first update
    reference = before.item() if setting.constant_loss is None else setting.constant_loss
    units = first_units(model, setting.task.input_shape)
    yield finished(tape.diverged[0], finals, reference, units, has_accuracy=setting.has_accuracy)


def _reseed(setting: Setting, *key: str | int) -> None:
    """What a user's code draws depends on the trial's seed and the step alone."""
    if setting.is_foreign:
        seed_globals(*key)


def _places(model: nn.Module, records: list[InitRecord], device: str) -> Tensor:
    """Where among the records the parameters that train stand; the others have no gradient."""
    where = {record.param: place for place, record in enumerate(records)}
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    return torch.tensor([where[name] for name in names], device=device)


def update(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], lr: float, clip: float | None) -> None:
    """One update with the gradients that the parameters have, which are gone afterwards."""
    if clip is not None:
        nn.utils.clip_grad_norm_(parameters, clip)
    set_rate(optimizer, lr)
    optimizer.step()
    optimizer.zero_grad()


def _of_one(scores: Scores) -> Scores:
    return scores[0].unsqueeze(0), scores[1].unsqueeze(0)


def held_out(data: Dataset) -> dict[Split, Part]:
    """The parts that are measured along the way."""
    return {"test": data.test} if data.val is None else {"val": data.val, "test": data.test}


def first_examples(data: Dataset) -> Part:
    """The training examples that a trial is measured on at its end."""
    return Part(data.train.x[:FINAL_TRAIN_EXAMPLES], data.train.y[:FINAL_TRAIN_EXAMPLES])


def finished(
    diverged_step: int | None, finals: dict[Split, Scores], reference: float, units: Array, *, has_accuracy: bool
) -> Finished:
    """How a trial ended, from loss and accuracy of each part; ``reference`` is what a trial that learned undercuts."""
    if diverged_step is not None:
        return Finished("diverged", "diverged", diverged_step, None, None, None, None, units)
    losses = {split: values[0].item() for split, values in finals.items()}
    return Finished(
        "ok",
        "learned" if losses["train"] < reference - LEARNED * abs(reference) else "stuck",
        None,
        losses["train"],
        losses.get("val"),
        losses["test"],
        finals["test"][1].item() if has_accuracy else None,
        units,
    )
