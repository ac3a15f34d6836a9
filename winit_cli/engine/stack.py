"""What a stack of trials computes: one step of all of them at once.

S trials in a stack, G runs of neighbours with one seed, B batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import torch
from torch import Tensor

from winit_cli.data.dataset import Dataset, Part
from winit_cli.engine.batches import epochs
from winit_cli.engine.checkpoint import BEFORE, pack, unpack
from winit_cli.engine.evaluate import autocast, no_accuracy, stacked_accuracy
from winit_cli.engine.flat import Flat
from winit_cli.engine.initial import initialized, started
from winit_cli.engine.optimizer import StackOptimizer
from winit_cli.engine.records import Checkpoint, Finished, Split
from winit_cli.engine.replay import Replay
from winit_cli.engine.serial import finished, first_examples, held_out
from winit_cli.engine.tape import Tape, surely_finite
from winit_cli.engine.units import first_units
from winit_cli.errors import Unbegun, WinitError
from winit_cli.models.lift import lift
from winit_cli.models.lift.twin import Run
from winit_cli.plan import Trial
from winit_cli.setting import Setting

EVALUATED_AT_ONCE = 250  # examples per trial: larger activations fall out of the cache

Scores = tuple[Tensor, Tensor]


class Stack:
    """The state of a stack: the lifted model, its parameters in one piece, the optimizer, the tape."""

    def __init__(self, trials: Sequence[Trial], data: Dataset, batched: bool) -> None:
        self.setting = setting = trials[0].setting
        self.trials, self.data, self.steps = trials, data, setting.steps
        self.precision = setting.experiment.general.precision
        self.started, models, factors = [], [], []
        for place, trial in enumerate(trials):
            try:
                initial = initialized(trial)
            except (WinitError, MemoryError):
                raise
            except Exception as error:  # of code from outside
                raise Unbegun(place) from error
            self.started.append(started(initial, setting.task.input_shape))
            models.append(initial.model)
            factors.append([initial.rates[name] for name, _ in initial.model.named_parameters()])
        self.single = models[0]
        on_gpu = torch.device(setting.device).type != "cpu"  # where one product is faster than one for each run
        runs = runs_of(range(len(trials)) if on_gpu else [trial.seed for trial in trials])
        self.model = lift(models, runs, batched=batched).to(setting.device)
        self.flat = Flat(self.model, overwrites=self.precision != "bf16")
        named = [name for name, _ in self.model.named_parameters()]
        assert named == [record.param for record in self.started[0].init]
        rates = [(trial.lr, mine) for trial, mine in zip(trials, factors, strict=True)]
        self.optimizer = StackOptimizer(self.flat, setting.train, rates)
        self.seeds = list(dict.fromkeys(trial.seed for trial in trials))
        self.seed_of_run = self._places([trials[start].seed for start, _ in runs])
        self.seed_of_trial = self._places([trial.seed for trial in trials])
        self.batches = _batches(self.seeds, len(data.train.x), setting, 0)
        self.index = torch.zeros(len(self.seeds), setting.train.batch_size, dtype=torch.long, device=setting.device)
        self.at = torch.zeros((), dtype=torch.long, device=setting.device)
        self.tape = Tape(len(trials), self.steps, setting.every, setting.test_every, setting.device)
        self.before = self.losses = torch.zeros(len(trials))
        self.finals: dict[Split, Scores] = {}
        assert setting.loss.stacked is not None
        self.loss = setting.loss.stacked
        self.accuracy = stacked_accuracy if setting.has_accuracy else _no_accuracies
        self._differentiate = Replay(setting.device)
        self._improve = Replay(setting.device)

    @property
    def is_captured(self) -> bool:
        """Whether a step is replayed from CUDA graphs by now."""
        return self._differentiate.is_captured and self._improve.is_captured

    def measure(self, step: int) -> None:
        """Losses and gradients after ``step`` updates."""
        tape = self.tape
        if tape.tests(step):
            scores = {split: self._evaluate(part) for split, part in held_out(self.data).items()}
            for split, score in scores.items():
                tape.point(step, split, *score)
            if step == self.steps:  # before the batch below, whose forward pass would move batch-norm statistics
                self.finals = {"train": self._evaluate(first_examples(self.data)), **scores}
                tape.watch(step, [loss for loss, _ in self.finals.values()])
        self.index.copy_(next(self.batches))
        self.at.fill_(step)
        self._differentiate(self._gradients)
        if step == 0:
            self.before = self.losses
        if tape.measures(step):
            tape.point(step, "train", self.losses, self.accuracy(self.out, self.y))
            tape.gradients(step, self.flat.norms())

    def update(self, step: int) -> None:
        """One update with the gradients that were measured last."""
        self.optimizer.set_rates(step)
        self._improve(self._updates)

    def _gradients(self) -> None:
        """Losses and gradients of the batch with the numbers in ``index``, at the step in ``at``."""
        x = _taken(self.data.train.x, self.index, self.seed_of_run)
        self.y = _taken(self.data.train.y, self.index, self.seed_of_trial)
        with autocast(self.precision, x.device.type):
            out = self.model(x)
            losses = self.loss(out, self.y)
        self.flat.backward(losses.sum())
        self.out, self.losses = out.detach(), losses.detach()
        if not surely_finite([self.losses, self.flat.grads]):
            self.tape.watch(self.at, [self.losses, *self.flat.blocks(self.flat.grads)])
            self._silence()

    def _updates(self) -> None:
        if self.setting.train.clip_norm is not None:
            self.flat.clip(self.setting.train.clip_norm)
        self.optimizer.step()

    def finished(self, place: int) -> Finished:
        """How the trial at a place ended."""
        constant = self.setting.constant_loss
        reference = self.before[place].item() if constant is None else constant
        own = {split: (loss[place], accuracy[place]) for split, (loss, accuracy) in self.finals.items()}
        with torch.no_grad():
            for single, stacked in zip(self.single.parameters(), self.model.parameters(), strict=True):
                single.copy_(stacked[place])
        units = first_units(self.single, self.setting.task.input_shape)
        return finished(self.tape.diverged[place], own, reference, units, has_accuracy=self.setting.has_accuracy)

    def take(self, step: int, places: Sequence[int]) -> list[Checkpoint]:
        """What continues the trials at these places after ``step`` updates."""
        shared = {"parameters": self.flat.values}
        shared |= {f"optimizer {key}": value for key, value in self.optimizer.state().items()}
        found = []
        for place in places:
            tensors = {BEFORE: self.before[place]}
            tensors |= {
                name: self.flat.of_trial(value, place) if value.dim() else value for name, value in shared.items()
            }
            tensors |= {f"buffer {name}": value[place] for name, value in self.model.named_buffers()}
            found.append(Checkpoint(step, [pack(name, tensor) for name, tensor in tensors.items()]))
        return found

    def restore(self, checkpoints: Sequence[Checkpoint | None]) -> int:
        """Go on from checkpoints, all of one step, which is returned."""
        kept = [{a.name: unpack(a) for a in c.arrays} if c is not None else None for c in checkpoints]
        pattern = next(arrays for arrays in kept if arrays is not None)
        arrays = [{name: torch.zeros_like(value) for name, value in pattern.items()} if k is None else k for k in kept]
        every = {name: [own[name].to(self.setting.device) for own in arrays] for name in pattern}
        self.before = torch.stack(every[BEFORE])
        self.flat.values.copy_(self.flat.joined(every["parameters"]))
        for name, buffer in self.model.named_buffers():
            buffer.copy_(torch.stack(every[f"buffer {name}"]))
        self.optimizer.restore(
            {
                name.removeprefix("optimizer "): self.flat.joined(parts) if parts[0].dim() else torch.stack(parts).max()
                for name, parts in every.items()
                if name.startswith("optimizer ")
            }
        )
        start = next(checkpoint.step for checkpoint in checkpoints if checkpoint is not None)
        self.batches = _batches(self.seeds, len(self.data.train.x), self.setting, start)
        return start

    def _silence(self) -> None:
        """Make trials that have diverged a network of zeros: arithmetic with NaN, and looking for more, costs time."""
        if self.flat.values.device.type != "cpu":
            return
        for place in (self.tape.first_bad >= 0).nonzero().flatten().tolist():
            for vector in (self.flat.values, self.flat.grads):
                for block in self.flat.blocks(vector):
                    block[place] = 0
            self.optimizer.forget(place)

    def _places(self, seeds: Sequence[int]) -> Tensor | None:
        """Where the seeds stand among all; ``None`` if each stands at its own place."""
        if list(seeds) == self.seeds:
            return None
        return torch.tensor([self.seeds.index(seed) for seed in seeds], device=self.setting.device)

    def _evaluate(self, part: Part) -> Scores:
        """Losses (S,) and accuracies (S,) over a whole part in evaluation mode, in double precision."""
        trials = len(self.trials)
        total = torch.zeros(2, trials, dtype=torch.float64, device=part.x.device)
        self.model.eval()
        with torch.no_grad(), autocast(self.precision, part.x.device.type):
            for x, y in _pieces(part):
                out, targets = self.model(x.unsqueeze(0)), y.expand(trials, *y.shape)
                total += len(x) * torch.stack([self.loss(out, targets).double(), self.accuracy(out, targets)])
        self.model.train()
        loss, right = total / len(part.x)
        return loss, right


def runs_of(seeds: Sequence[int]) -> list[Run]:
    """Where trials with one seed, so with the same batches, are neighbours: (start, end) of each run."""
    ends, runs = 0, []
    for _, same in groupby(seeds):
        start, ends = ends, ends + len(list(same))
        runs.append((start, ends))
    return runs


def _batches(seeds: Sequence[int], examples: int, setting: Setting, start: int) -> Iterator[Tensor]:
    """Numbers of examples (seeds, B) of every batch from the ``start``-th on; whole epochs go to the device."""
    for epoch in zip(*[epochs(seed, examples, setting.train.batch_size, start) for seed in seeds], strict=True):
        yield from torch.stack(epoch, 1).to(setting.device)


def _taken(values: Tensor, index: Tensor, rows: Tensor | None) -> Tensor:
    """The examples (n, B, …) with the numbers in ``rows`` of ``index`` (seeds, B); without rows, in all of them."""
    wanted = index if rows is None else index[rows]
    return values.index_select(0, wanted.flatten()).view(*wanted.shape, *values.shape[1:])


def _pieces(part: Part) -> Iterator[Scores]:
    return zip(torch.split(part.x, EVALUATED_AT_ONCE), torch.split(part.y, EVALUATED_AT_ONCE), strict=True)


def _no_accuracies(out: Tensor, y: Tensor) -> Tensor:
    return no_accuracy(out, y).expand(len(out))
