"""Train what a run misses: jobs side by side, each committing what it yields."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, cast

from winit_cli.engine.records import Checkpoint, Chunk, Finished, Packed, Started
from winit_cli.engine.stacked import Record
from winit_cli.errors import StorageError, Terminated, WinitError
from winit_cli.orders import Order, Records, Trainer
from winit_cli.plan import Plan, Trial
from winit_cli.stopping import Cadence, Timer
from winit_cli.store.schema import Kept
from winit_cli.store.store import Store
from winit_cli.workers import JobLost, Pool, job_error

LOST = 3  # times in a row that a stack may lose its worker before its trials have failed


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

    def where(self, text: str) -> None:
        """Where stacks train at the moment, if that is not here: ``5 stacks on 2 nodes``."""

    def note(self, text: str) -> None:
        """Something to say aloud."""


@dataclass
class Job:
    """An order, what of it is ``done`` by now, and what it goes on from. ``spent`` are the seconds that it took before,
    ``began`` is when it was given to a worker."""

    order: Order
    done: list[bool]
    kept: list[Kept | None]
    trainer: Trainer
    timer: Timer
    spent: float
    began: float

    @property
    def positions(self) -> list[int]:
        """Of its trials in the plan."""
        return self.order.positions

    @cached_property
    def records(self) -> Records:
        """What it yields where it is trained here."""
        return self.trainer.records(self.order, self.timer.is_due)

    def close(self) -> None:
        """Leave it where it is."""
        if "records" in self.__dict__:
            self.records.close()


class Training:
    """Trains the stacks of a run. ``failed`` says whether a trial did."""

    def __init__(self, plan: Plan, store: Store, progress: Progress, *, fail_fast: bool) -> None:
        self.plan, self.store, self.progress, self.fail_fast = plan, store, progress, fail_fast
        self.cadence = Cadence(plan.config.base.general.checkpoint_seconds)
        self.failed = False
        self._warned = set(store.warnings())
        self._told: dict[int, int] = {}
        self._lost: Counter[int] = Counter()
        self._trainer = Trainer(plan)

    def run(self, stacks: list[list[int]], workers: AbstractContextManager[Pool]) -> None:
        """Train all stacks that are not done, as many at a time as there are workers.

        A job that runs out of memory is halved; one whose worker is lost goes on with another from its last commit; one
        that fails otherwise leaves its trials as failed.
        """
        unfinished = set(self.store.unfinished())
        waiting = deque(stack for stack in stacks if unfinished & set(stack))
        with workers as pool, self.cadence.signals():
            while waiting or pool.running:
                while waiting and pool.running < pool.workers and not self._stops:
                    pool.start(self._job(waiting.popleft()))
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
                    job.close()
                    raise
                except (Exception, SystemExit) as error:
                    waiting.extendleft(self._failed(job, error))
            self.cadence.stop_if_asked()
        if self.failed and self.fail_fast:
            self.progress.note("stopped at the first failed trial (--fail-fast)")

    @property
    def _stops(self) -> bool:
        return self.cadence.signal is not None or (self.failed and self.fail_fast)

    def _job(self, positions: list[int]) -> Job:
        unfinished = set(self.store.unfinished())
        done = [position not in unfinished for position in positions]
        kept = [None if ended else self.store.checkpoint(p) for p, ended in zip(positions, done, strict=True)]
        steps = {None if k is None else k.step for k, ended in zip(kept, done, strict=True) if not ended}
        if len(steps) > 1:  # a checkpoint of some is of no use to the others
            kept = [None] * len(kept)
        for position, of_one in zip(positions, kept, strict=True):
            if of_one:
                self._tell(position, of_one.step, self.progress.spare)
        checkpoints = [Checkpoint(k.step, [Packed(*array) for array in k.arrays]) if k else None for k in kept]
        order = Order(positions, list(done), checkpoints)
        spent = max((k.seconds for k in kept if k), default=0.0) * len(positions)
        return Job(order, done, kept, self._trainer, Timer(self.cadence), spent, time.perf_counter())

    def _take(self, job: Job, records: list[tuple[int, Record]]) -> None:
        """Enter what a job yields, and commit when it is time."""
        seconds = (job.spent + time.perf_counter() - job.began) / len(job.positions)
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
            self._lost.pop(job.positions[0], None)
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
        if isinstance(error, JobLost) and self._lost[job.positions[0]] < LOST:
            self._lost[job.positions[0]] += 1
            self.progress.note(f"a stack of {len(job.positions)} trials goes on elsewhere: {error}")
            self.store.discard(left)
            return [job.positions]
        why = job_error(error)
        if why.is_memory and len(left) > 1:
            text = f"a stack of {len(job.positions)} trials ran out of memory and is trained as two"
            self.progress.note(text)
            halves = [left[: len(left) // 2], left[len(left) // 2 :]]
            return self._instead(job, left, halves, halved=[*self.store.meta("halved", []), text])
        blamed = left if why.place is None else [job.positions[why.place]]
        for position in blamed:
            self.store.fail(position, why.reason)
            self._tell_end(position)
            self.progress.trial_done(self.plan.trials[position], "failed", None)
        self.failed = True
        others = [position for position in left if position not in blamed]
        return self._instead(job, others, [others]) if others else []

    def _instead(self, job: Job, left: list[int], stacks: list[list[int]], **more: Any) -> list[list[int]]:
        """Start over with what is left of a job in other stacks, which the run keeps with ``more`` facts."""
        self.store.discard(left)
        kept = [stack for stack in self.store.meta("stacks") if stack != job.positions]
        self.store.set_meta(stacks=[*kept, *stacks], **more)
        return stacks


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
