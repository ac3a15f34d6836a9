"""Run a plan: train what is missing, commit it, write the tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from winit_cli.copying import copy_finished
from winit_cli.engine.division import Division, division, left_aside, too_large
from winit_cli.engine.numerics import replayable
from winit_cli.environment import REFUSED_IF_DIFFERENT, differences, environment
from winit_cli.errors import UsageError, WinitError
from winit_cli.packing import Code, pack
from winit_cli.plan import Plan
from winit_cli.probing import probe_run
from winit_cli.resolved import facts_of
from winit_cli.run_files import write_config, write_tables
from winit_cli.shards import Shard, Share, share_of
from winit_cli.sizes import MEMORY
from winit_cli.station import Setup
from winit_cli.stations import stations
from winit_cli.store.lock import writing
from winit_cli.store.reading import FILE
from winit_cli.store.runs import run_facts
from winit_cli.store.store import Store
from winit_cli.training import Progress, Training, headline
from winit_cli.workers import Pool, side_by_side


@dataclass(frozen=True)
class Result:
    """Where the run lies, its counts by status, whether there was nothing to do, and why trials failed."""

    directory: Path
    counts: dict[str, int]
    was_complete: bool
    failures: list[str]


@dataclass(frozen=True)
class How:
    """How to run a plan. ``fresh`` trains everything again in a sibling directory, ``fail_fast`` stops at the first
    trial that fails, ``take_over`` takes the place of another process that writes the run, ``memory`` in bytes is what
    the stacks that train at once may take, ``MEMORY`` if ``None``; a run that goes on keeps the budget it has. With a
    ``shard`` only its share of the trials is trained, in a directory of its own. ``devices`` are several GPUs that
    train side by side; ``on`` is a Ray cluster (``winit_cli.cluster.join`` has the forms) whose machines train, each
    stack with so many ``gpus``. For both ``code`` is the user's own that is loaded.
    """

    fresh: bool = False
    fail_fast: bool = False
    take_over: bool = False
    memory: int | None = None
    shard: Shard | None = None
    devices: tuple[str, ...] = ()
    on: str | None = None
    gpus: float = 1.0
    code: Code = field(default_factory=Code)


def run_plan(plan: Plan, results: Path, progress: Progress, how: How = How()) -> Result:
    """Run a plan under a results directory; trials that any run there has finished are not repeated.

    A trial that raises an error is recorded as failed and the others go on.

    Raises:
        LockedError: another process is writing this run, or has taken it over.
        UsageError: the run was started with other versions or on another device, which would give other bits.
        StorageError: the disk refuses; what was committed before is kept.
    """
    directory = _directory(plan, results, how)
    here = _here(plan, how)
    share = share_of(plan, directory, here, how.shard) if how.shard else None
    with writing(directory, take_over=how.take_over) as owner, Store(directory, owner) as store:
        env = store.meta("env") if store.has_begun() else here
        _refuse_other_bits(store, env, here)
        status = store.meta("status", {"state": "running", "trials": {}})
        facts = facts_of(plan) | {"env": env, "status": status} | (share.facts() if share else {})
        positions = share.positions if share else range(len(plan.trials))
        damaged = store.register({position: plan.trials[position] for position in positions}, facts)
        if damaged:
            progress.note(f"damaged in {FILE}, so trained anew: {', '.join(damaged)}")
        was_complete = not store.unfinished()
        if not was_complete:
            _prepare(plan, store, env, here, progress)
            if not how.fresh:
                copy_finished(plan, store, results, progress, how.shard)
        with _interruptible(store):
            if share is None or share.shard.number == 1:  # the others would measure the same
                probe_run(plan, store, progress)
            if not was_complete:
                divided = _divided(plan, store, env, progress, how, share)
                _train_all(plan, store, divided, progress, how)
        write_tables(store, progress.note)
        counts = store.write_status("failed" if store.unfinished() else "complete")["trials"]
        store.shrink()
        return Result(directory, counts, was_complete, store.failures())


def _here(plan: Plan, how: How) -> dict[str, Any]:
    """The facts of this machine that a run records as it starts."""
    found = environment(plan.settings[0].device) | {"memory_budget_bytes": how.memory or MEMORY}
    if len(how.devices) < 2:
        return found
    names = dict.fromkeys(environment(device)["gpu"] or "" for device in how.devices)
    gpu = ", ".join(filter(None, names)) or None
    return found | {"device": ",".join(how.devices), "gpu": gpu, "gpus": len(how.devices)}


def _refuse_other_bits(store: Store, env: dict[str, Any], here: dict[str, Any]) -> None:
    """A run is not continued where its trials would come out otherwise than the others."""
    differs = differences(env, here, REFUSED_IF_DIFFERENT)
    if differs and store.unfinished():
        raise UsageError(
            f"{store.directory} was started with {differs}, so the trials that are missing would come out otherwise "
            "than those it has; finish it with what it was started with, or train all of it here with --fresh"
        )


def _directory(plan: Plan, results: Path, how: How) -> Path:
    """The directory of the plan or its shard; with ``fresh`` the last sibling (``-2``, ``-3`` …) if unfinished, else
    the next."""
    name = how.shard.directory(plan.name) if how.shard else plan.name
    directory, number = results / name, 2
    while how.fresh and (directory / FILE).exists():
        if number > 2 and run_facts(directory).get("status", {}).get("state") != "complete":
            break
        directory, number = results / f"{name}-{number}", number + 1
    return directory


def _prepare(plan: Plan, store: Store, env: dict[str, Any], here: dict[str, Any], progress: Progress) -> None:
    differs = differences(env, here | {"threads": env["threads"]})  # the thread count is restored
    if differs:
        progress.note(f"this run was started with {differs}")
    write_config(store)
    store.write_status("running")


def _train_all(plan: Plan, store: Store, divided: Division, progress: Progress, how: How) -> None:
    missing, trials = store.unfinished(), sum(store.counts().values())
    updates = sum(plan.trials[position].setting.steps for position in missing)
    progress.begin(trials, trials - len(missing), updates)
    for position, status, *finals in store.finals():
        progress.known(plan.trials[position], status, headline(plan.trials[position], *finals))
    training = Training(plan, store, progress, fail_fast=how.fail_fast)
    env = store.meta("env")
    with replayable(plan.settings[0].device, env["threads"], plan.config.base.general.precision):
        training.run(divided.stacks, _workers(plan, store, divided, progress, how))


def _workers(plan: Plan, store: Store, divided: Division, progress: Progress, how: How) -> AbstractContextManager[Pool]:
    """Where stacks train: on a cluster, in a process for each of several devices, else here."""
    if how.on is None and len(how.devices) < 2:
        return side_by_side(divided.at_once if plan.is_on_cpu else 1)
    env, device = store.meta("env"), plan.settings[0].device
    packed, datasets = pack(plan, how.code)
    is_single = divided.at_once > 1 and plan.is_on_cpu  # as where they train side by side here
    setup = Setup(packed, 1 if is_single else env["threads"], plan.config.base.general.checkpoint_seconds)
    if how.on is None:
        return stations(how.devices, setup, datasets)
    from winit_cli.cluster.need import need_of
    from winit_cli.cluster.pool import Told, on_ray

    def remark(text: str) -> None:
        progress.note(text)
        store.set_meta(env=(env := store.meta("env")) | {"nodes": [*env.get("nodes", []), text]})

    need = need_of(plan, divided.stacks, setup.threads, how.gpus)
    return on_ray(how.on, need, setup, device, datasets, env, Told(progress.where, remark))


@contextlib.contextmanager
def _interruptible(store: Store) -> Iterator[None]:
    """A run that does not come to its end says so."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(WinitError):
            store.write_status("interrupted")
        raise


def _divided(
    plan: Plan, store: Store, env: dict[str, Any], progress: Progress, how: How, share: Share | None
) -> Division:
    """The stacks that the run was started with, else its share of them, else those that its budget and threads give;
    recorded either way."""
    missing, has_begun = store.unfinished(), store.has_begun()
    kept = share.division.facts() if share else None
    if has_begun:
        kept = {key: store.meta(key) for key in ("stacks", "stacks_at_once", "memory")}
    budget = env.get("memory_budget_bytes", MEMORY)
    divided = division(plan, missing, budget, env["threads"], kept, env.get("gpus", 1))
    said = left_aside(how.memory, divided.budget) if has_begun else too_large(plan, missing, divided.budget)
    if said:
        progress.note(said)
    store.set_meta(**divided.facts(), halved=store.meta("halved", []) if has_begun else [])
    return divided
