"""The fast engine: all trials of a stack as one computation. Agrees with ``serial``, which is easier to read.

S trials in a stack, B batch. Nothing that a trial computes depends on the numbers of another.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from winit_cli.data.dataset import Dataset, Part
from winit_cli.engine.batches import batches
from winit_cli.engine.checkpoint import BEFORE, pack, unpack
from winit_cli.engine.evaluate import autocast, no_accuracy, stacked_accuracy
from winit_cli.engine.initial import initialized
from winit_cli.engine.optimizer import make_optimizer, rate_factor
from winit_cli.engine.records import Checkpoint, Chunk, Finished, Split, Started
from winit_cli.engine.serial import finished, held_out, measured_at_the_end
from winit_cli.engine.tape import Tape, gradient_norms
from winit_cli.engine.units import first_units
from winit_cli.models.lift import lift
from winit_cli.plan import Trial
from winit_cli.schemes.audit import init_hash

EVALUATED_AT_ONCE = 250  # examples per trial: larger activations fall out of the cache

Record = Started | Chunk | Finished
Scores = tuple[Tensor, Tensor]


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
    stack = _Stack(trials, data, torch.device(trials[0].setting.device).type != "cpu" if batched is None else batched)
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


def _read(stack: _Stack, step: int, alive: list[bool], is_checkpoint: bool) -> list[tuple[int, Record]]:
    """What was measured up to a step by the trials that are ``alive``; those that diverged end here."""
    records: list[tuple[int, Record]] = []
    for place, chunk in enumerate(stack.tape.chunks(step)):
        if not alive[place]:
            continue
        alive[place] = stack.tape.diverged[place] is None
        whole = is_checkpoint and alive[place]
        records.append((place, replace(chunk, checkpoint=stack.take(step + 1, place)) if whole else chunk))
        if not alive[place]:
            records.append((place, stack.finished(place)))
    return records


class _Stack:
    """The state of a stack: the lifted model, an optimizer with a part for each learning rate, the tape."""

    def __init__(self, trials: Sequence[Trial], data: Dataset, batched: bool) -> None:
        self.setting = setting = trials[0].setting
        self.trials, self.data, self.steps = trials, data, setting.steps
        self.started, models = [], []
        for trial in trials:
            model, records = initialized(trial)
            self.started.append(Started(records, init_hash(records), first_units(model, setting.task.input_shape)))
            models.append(model)
        self.single = models[0]
        self.model = lift(models, batched=batched).to(setting.device)
        self.parameters = list(self.model.parameters())
        named = [name for name, _ in self.model.named_parameters()]
        assert named == [record.param for record in self.started[0].init]
        self.memory_orders = [_memory_order(parameter) for parameter in self.parameters]
        in_order = [p.detach().permute(o) for p, o in zip(self.parameters, self.memory_orders, strict=True)]
        self.optimizers = _optimizers(trials, in_order)
        self.seeds = list(dict.fromkeys(trial.seed for trial in trials))
        self.seed_of_trial = torch.tensor([self.seeds.index(trial.seed) for trial in trials])
        self.orders = self._orders(0)
        self.tape = Tape(len(trials), self.steps, setting.every, setting.test_every, setting.device)
        self.before = torch.zeros(len(trials))
        self.finals: dict[Split, Scores] = {}
        assert setting.loss.stacked is not None
        self.loss = setting.loss.stacked
        self.accuracy = stacked_accuracy if setting.has_accuracy else _no_accuracies

    def measure(self, step: int) -> None:
        """Losses and gradients after ``step`` updates."""
        setting, tape = self.setting, self.tape
        if tape.tests(step):
            for split, part in held_out(self.data).items():
                tape.point(step, split, *self._evaluate(part))
        if step == self.steps:  # before the batch below, whose forward pass would move batch-norm statistics
            self.finals = {split: self._evaluate(part) for split, part in measured_at_the_end(self.data).items()}
            tape.watch(step, [loss for loss, _ in self.finals.values()])
        x, y = self._batch()
        with autocast(setting.experiment.general.precision, x.device.type):
            out = self.model(x)
            losses = self.loss(out, y)
        raw = torch.autograd.grad(losses.sum(), self.parameters)
        gradients = [g.permute(order).contiguous() for g, order in zip(raw, self.memory_orders, strict=True)]
        losses = losses.detach()
        tape.watch(step, [losses, *gradients])
        if step == 0:
            self.before = losses
        if tape.measures(step):
            tape.point(step, "train", losses, self.accuracy(out, y))
            tape.gradients(step, gradient_norms(gradients))
        self.gradients = gradients

    def update(self, step: int) -> None:
        """One update with the gradients that were measured last."""
        train = self.setting.train
        if train.clip_norm is not None:
            _clip(self.gradients, train.clip_norm)
        for optimizer, (start, end) in self.optimizers.items():
            for view, gradient in zip(optimizer.param_groups[0]["params"], self.gradients, strict=True):
                view.grad = gradient[start:end]
            optimizer.param_groups[0]["lr"] = self.trials[start].lr * rate_factor(step, train)
            optimizer.step()

    def finished(self, place: int) -> Finished:
        """How the trial at a place ended."""
        constant = self.setting.constant_loss
        reference = self.before[place].item() if constant is None else constant
        own = {split: (loss[place], accuracy[place]) for split, (loss, accuracy) in self.finals.items()}
        with torch.no_grad():
            for single, stacked in zip(self.single.parameters(), self.parameters, strict=True):
                single.copy_(stacked[place])
        units = first_units(self.single, self.setting.task.input_shape)
        return finished(self.tape.diverged[place], own, reference, units, has_accuracy=self.setting.has_accuracy)

    def take(self, step: int, place: int) -> Checkpoint:
        """What continues the trial at a place after ``step`` updates."""
        tensors = {BEFORE: self.before[place]}
        tensors |= {f"parameter {name}": value.detach()[place] for name, value in self.model.named_parameters()}
        tensors |= {f"buffer {name}": value[place] for name, value in self.model.named_buffers()}
        for optimizer, (start, end) in self.optimizers.items():
            if start <= place < end:
                for index, view in enumerate(optimizer.param_groups[0]["params"]):
                    for key, value in optimizer.state[view].items():
                        if value is not None:  # SGD notes the absence of a momentum buffer
                            one = value[place - start] if value.dim() else value
                            tensors[f"optimizer {index} {key}"] = one
        return Checkpoint(step, [pack(name, tensor) for name, tensor in tensors.items()])

    def restore(self, checkpoints: Sequence[Checkpoint | None]) -> int:
        """Go on from checkpoints, all of one step, which is returned."""
        kept = [{a.name: unpack(a) for a in c.arrays} if c is not None else None for c in checkpoints]
        pattern = next(arrays for arrays in kept if arrays is not None)
        arrays = [{name: torch.zeros_like(value) for name, value in pattern.items()} if k is None else k for k in kept]
        stacked = {name: torch.stack([own[name] for own in arrays]).to(self.setting.device) for name in pattern}
        self.before = stacked[BEFORE]
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(stacked[f"parameter {name}"])
        for name, buffer in self.model.named_buffers():
            buffer.copy_(stacked[f"buffer {name}"])
        for optimizer, (start, end) in self.optimizers.items():
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in stacked.items():
                kind, _, rest = name.partition(" ")
                if kind == "optimizer":
                    index, _, key = rest.partition(" ")
                    state.setdefault(int(index), {})[key] = value[start:end] if value.dim() > 1 else value.max()
            optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        start = next(checkpoint.step for checkpoint in checkpoints if checkpoint is not None)
        self.orders = self._orders(start)
        return start

    def _orders(self, start: int) -> list[Iterator[Tensor]]:
        examples, batch_size = len(self.data.train.x), self.setting.train.batch_size
        return [batches(seed, examples, batch_size, start) for seed in self.seeds]

    def _batch(self) -> tuple[Tensor, Tensor]:
        """The next batch of every trial, (S, B, …); trials of one seed share one in memory if there is no other."""
        index = torch.stack([next(order) for order in self.orders])
        x, y = self.data.train.x, self.data.train.y
        if len(self.seeds) == 1:
            shared, targets, trials = x[index], y[index], len(self.trials)
            return shared.expand(trials, *shared.shape[1:]), targets.expand(trials, *targets.shape[1:])
        index = index[self.seed_of_trial]
        return x[index], y[index]

    def _evaluate(self, part: Part) -> Scores:
        """Losses (S,) and accuracies (S,) over a whole part in evaluation mode, in double precision."""
        trials = len(self.trials)
        total = torch.zeros(2, trials, dtype=torch.float64, device=part.x.device)
        self.model.eval()
        with torch.no_grad(), autocast(self.setting.experiment.general.precision, part.x.device.type):
            for x, y in _pieces(part):
                targets = y.expand(trials, *y.shape)
                out = self.model(x.expand(trials, *x.shape))
                total += len(x) * torch.stack([self.loss(out, targets).double(), self.accuracy(out, targets)])
        self.model.train()
        loss, right = total / len(part.x)
        return loss, right


def _optimizers(trials: Sequence[Trial], parameters: Sequence[Tensor]) -> dict[torch.optim.Optimizer, tuple[int, int]]:
    """An optimizer of torch for each learning rate, over the part of the stack (start, end) that has it."""
    rates = [trial.lr for trial in trials]
    bounds = [0, *(place for place in range(1, len(rates)) if rates[place] != rates[place - 1]), len(rates)]
    return {
        make_optimizer([p[start:end] for p in parameters], trials[0].setting.train, rates[start], fused=True): (
            start,
            end,
        )
        for start, end in pairwise(bounds)
    }


def _memory_order(parameter: Tensor) -> list[int]:
    """Its dimensions as they lie in memory, the trials first: a fused update needs everything contiguous."""
    return [0, *sorted(range(1, parameter.dim()), key=parameter.stride, reverse=True)]


def _clip(gradients: Sequence[Tensor], most: float) -> None:
    """Scale the gradients of each trial to a norm of at most ``most``, as ``torch.nn.utils.clip_grad_norm_`` does."""
    norms = torch.stack([torch.linalg.vector_norm(g.reshape(len(g), -1), dim=1) for g in gradients], 1)
    factor = (most / (torch.linalg.vector_norm(norms, dim=1) + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor.reshape(-1, *[1] * (gradient.dim() - 1)))


def _pieces(part: Part) -> Iterator[Scores]:
    return zip(torch.split(part.x, EVALUATED_AT_ONCE), torch.split(part.y, EVALUATED_AT_ONCE), strict=True)


def _no_accuracies(out: Tensor, y: Tensor) -> Tensor:
    return no_accuracy(out, y).expand(len(out))
