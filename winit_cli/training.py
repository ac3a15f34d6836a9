"""Train what a run misses: jobs side by side, each committing what it yields."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from winit_cli.data.dataset import Dataset
from winit_cli.engine.records import Checkpoint, Chunk, Finished, Packed, Started
from winit_cli.engine.serial import train_trial
from winit_cli.engine.stacked import Record, train_stack
from winit_cli.errors import StorageError, Terminated, WinitError
from winit_cli.plan import Plan, Trial
from winit_cli.stopping import Cadence, Timer
from winit_cli.store.schema import Kept
from winit_cli.store.store import Store
from winit_cli.workers import job_error, side_by_side

Records = Generator[list[tuple[int, Record]], None, None]


class Progress(Protocol):
    """Who is told how a run goes on."""

    def begin(self, trials: int, done: int, updates: int) -> None:
        """``trials`` in all, ``done`` of them already; ``updates`` of all the others."""

    def advance(self, updates: int) -> None:
        """That many more updates were made."""

    def spare(self, updates: int) -> None:
        """That many updates need not be made: those behind a checkpoint, or what is left of a trial that ended."""

    def known(self, trial: Trial, status: str, final: float | None) -> None:
        """A trial had ended before, with this test accuracy, or test loss for regression."""

    def trial_done(self, trial: Trial, status: str, final: float | None) -> None:
        """A trial ended likewise; a blank final means that it diverged or failed."""

    def note(self, text: str) -> None:
        """Something to say aloud."""


@dataclass
class Job:
    """Trials, by their positions in the plan, that one engine trains together; those that are ``done`` only keep
    their place."""

    positions: list[int]
    done: list[bool]
    kept: list[Kept | None]
    records: Records
    timer: Timer
    began: float


class Training:
    """Trains the stacks of a run. ``failed`` says whether a trial did."""

    def __init__(self, plan: Plan, store: Store, progress: Progress, *, fail_fast: bool) -> None:
        self.plan, self.store, self.progress, self.fail_fast = plan, store, progress, fail_fast
        self.cadence = Cadence(plan.config.base.general.checkpoint_seconds)
        self.failed = False
        self._warned = set(store.warnings())
        self._told: dict[int, int] = {}
        self._on_device: dict[str, Dataset] = {}

    def run(self, stacks: list[list[int]], workers: int) -> None:
        """Train all stacks that are not done, ``workers`` of them at a time.

        A job that runs out of memory is halved; one that fails otherwise leaves its trials as failed.
        """
        unfinished = set(self.store.unfinished())
        waiting = deque(stack for stack in stacks if unfinished & set(stack))
        with self.cadence.signals(), side_by_side(workers) as pool:
            while waiting or pool.running:
                while waiting and pool.running < pool.workers and not self._stops:
                    pool.start(self._job(waiting.popleft(), unfinished))
                if not pool.running:
                    break
                found, outcome = pool.next()
                job = cast(Job, found)
                try:
                    records = outcome()
                    if records is not None:
                        self._take(job, cast("list[tuple[int, Record]]", records))
                        if self.cadence.signal is None or not job.timer.handed_over:
                            pool.resume(job)
                except (WinitError, Terminated):
                    job.records.close()
                    raise
                except (Exception, SystemExit) as error:
                    waiting.extendleft(self._failed(job, error))
            self.cadence.stop_if_asked()
        if self.failed and self.fail_fast:
            self.progress.note("stopped at the first failed trial (--fail-fast)")

    @property
    def _stops(self) -> bool:
        return self.cadence.signal is not None or (self.failed and self.fail_fast)

    def _job(self, positions: list[int], unfinished: set[int]) -> Job:
        trials = [self.plan.trials[position] for position in positions]
        setting = trials[0].setting
        done = [position not in unfinished for position in positions]
        kept = [None if ended else self.store.checkpoint(p) for p, ended in zip(positions, done, strict=True)]
        steps = {None if k is None else k.step for k, ended in zip(kept, done, strict=True) if not ended}
        if len(steps) > 1:  # a checkpoint of some is of no use to the others
            kept = [None] * len(kept)
        for position, of_one in zip(positions, kept, strict=True):
            if of_one:
                self._tell(position, of_one.step, self.progress.spare)
        checkpoints = [Checkpoint(k.step, [Packed(*array) for array in k.arrays]) if k else None for k in kept]
        timer = Timer(self.cadence)
        data = self._data(trials[0])
        if setting.engine == "stacked":
            records: Records = train_stack(trials, data, checkpoints, timer.is_due, ended=list(done))
        else:
            records = ([(0, record)] for record in train_trial(trials[0], data, checkpoints[0], timer.is_due))
        spent = max((k.seconds for k in kept if k), default=0.0) * len(positions)
        return Job(positions, done, kept, records, timer, time.perf_counter() - spent)

    def _take(self, job: Job, records: list[tuple[int, Record]]) -> None:
        """Enter what a job yields, and commit when it is time."""
        seconds = (time.perf_counter() - job.began) / len(job.positions)
        ended: list[tuple[int, Finished]] = []
        for place, record in records:
            position = job.positions[place]
            if job.done[place]:
                continue
            if isinstance(record, Started):
                self._started(job, place, record)
            elif isinstance(record, Chunk):
                self.store.chunk(position, record, seconds)
                self._tell(position, record.step, self.progress.advance)
            else:
                self.store.finish(position, record, seconds)
                ended.append((place, record))
        if job.timer.is_waiting:
            self.store.commit(job.positions)
            job.timer.committed()
        elif ended:  # what the others measured waits for the checkpoint that continues behind it
            self.store.commit([job.positions[place] for place, _ in ended])
        for place, record in ended:
            job.done[place] = True
            self._tell_end(job.positions[place])
            trial = self.plan.trials[job.positions[place]]
            self.progress.trial_done(trial, record.status, headline(trial, record.test_loss, record.test_accuracy))

    def _tell(self, position: int, step: int, how: Callable[[int], None]) -> None:
        """Report the updates of a trial up to a step; a stack that starts over has reported some of them already."""
        more = step - self._told.get(position, 0)
        if more > 0:
            self._told[position] = step
            how(more)

    def _tell_end(self, position: int) -> None:
        self._tell(position, self.plan.trials[position].setting.steps, self.progress.spare)

    def _started(self, job: Job, place: int, record: Started) -> None:
        kept, position = job.kept[place], job.positions[place]
        trial = self.plan.trials[position]
        if record.warnings and trial.label not in self._warned:
            self._warned.add(trial.label)
            self.progress.note(warning(trial.label, trial.seed, record.warnings))
        if kept is None:
            self.store.start(position, record)
        elif record.init_hash != kept.init_hash:
            raise StorageError(_begins_otherwise(trial, self.store))

    def _failed(self, job: Job, error: BaseException) -> list[list[int]]:
        """What to try instead: the halves of a stack that was out of memory. The trials of others have failed."""
        left = [position for position, done in zip(job.positions, job.done, strict=True) if not done]
        why = job_error(error)
        if why.is_memory and len(left) > 1:
            text = f"a stack of {len(job.positions)} trials ran out of memory and is trained as two"
            self.progress.note(text)
            halves = [left[: len(left) // 2], left[len(left) // 2 :]]
            self.store.discard(left)
            stacks = [stack for stack in self.store.meta("stacks") if stack != job.positions]
            self.store.set_meta(stacks=[*stacks, *halves], halved=[*self.store.meta("halved", []), text])
            return halves
        for position in left:
            self.store.fail(position, why.reason)
            self._tell_end(position)
            self.progress.trial_done(self.plan.trials[position], "failed", None)
        self.failed = True
        return []

    def _data(self, trial: Trial) -> Dataset:
        data = trial.setting.dataset
        if data.fingerprint not in self._on_device:
            self._on_device = {data.fingerprint: data.to(trial.setting.device)}
        return self._on_device[data.fingerprint]


def headline(trial: Trial, test_loss: float | None, test_accuracy: float | None) -> float | None:
    """The final that labels are ranked by."""
    return test_accuracy if trial.setting.has_accuracy else test_loss


def warning(label: str, seed: int, texts: Sequence[str]) -> str:
    """What is said once of a label where something is not as its scheme promises at the start."""
    return f"warning: {label}, seed {seed}: {'; '.join(texts)}"


def _begins_otherwise(trial: Trial, store: Store) -> str:
    return (
        f"{trial.key} begins with other weights here than where {store.directory} was started, so it cannot go on: "
        "its code, winit or the processor differs; use what it was started with, or train it here with --fresh"
    )
