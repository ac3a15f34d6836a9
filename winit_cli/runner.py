"""Run a plan: train what is missing, commit it, write the tables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from winit_cli.config import dump
from winit_cli.engine.division import MEMORY, Division, division, left_aside, too_large
from winit_cli.engine.numerics import replayable
from winit_cli.environment import environment
from winit_cli.errors import UsageError, WinitError
from winit_cli.findings.tables import steps_of, tables_of
from winit_cli.plan import Plan
from winit_cli.probing import probe_run
from winit_cli.resolved import resolved_config
from winit_cli.store.files import write_csv, write_json, write_text
from winit_cli.store.frames import read_run
from winit_cli.store.lock import writing
from winit_cli.store.reading import FILE
from winit_cli.store.runs import finished_elsewhere, run_facts
from winit_cli.store.store import Store
from winit_cli.training import Progress, Training, headline, warning

SHOWN_IF_DIFFERENT = ("winit", "python", "numpy", "cpu", "threads")
REFUSED_IF_DIFFERENT = ("torch", "cpu_capability", "gpu")  # with these, the same steps give other bits


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
    the stacks that train at once may take, ``MEMORY`` if ``None``; a run that goes on keeps the budget it has.
    """

    fresh: bool = False
    fail_fast: bool = False
    take_over: bool = False
    memory: int | None = None


def run_plan(plan: Plan, results: Path, progress: Progress, how: How = How()) -> Result:
    """Run a plan under a results directory; trials that any run there has finished are not repeated.

    A trial that raises an error is recorded as failed and the others go on.

    Raises:
        LockedError: another process is writing this run, or has taken it over.
        UsageError: the run was started with other versions or on another device, which would give other bits.
        StorageError: the disk refuses; what was committed before is kept.
    """
    directory = _directory(plan, results, how.fresh)
    with writing(directory, take_over=how.take_over) as owner, Store(directory, owner) as store:
        here = environment(plan.settings[0].device) | {"memory_budget_bytes": how.memory or MEMORY}
        env = store.meta("env") if store.has_begun() else here
        _refuse_other_bits(store, env, here)
        status = store.meta("status", {"state": "running", "trials": {}})
        damaged = store.register(plan.trials, _facts(plan) | {"env": env, "status": status})
        if damaged:
            progress.note(f"damaged in {FILE}, so trained anew: {', '.join(damaged)}")
        was_complete = not store.unfinished()
        if not was_complete:
            _prepare(plan, store, env, here, progress)
            if not how.fresh:
                _copy_finished(plan, store, results, progress)
        with _interruptible(store):
            probe_run(plan, store, progress)
            if not was_complete:
                _train_all(plan, store, env, progress, how)
        _write_tables(plan, store, progress)
        counts = store.write_status("failed" if store.unfinished() else "complete")["trials"]
        store.shrink()
        return Result(directory, counts, was_complete, store.failures())


def _refuse_other_bits(store: Store, env: dict[str, Any], here: dict[str, Any]) -> None:
    """A run is not continued where its trials would come out otherwise than the others."""
    differs = _differences(env, here, REFUSED_IF_DIFFERENT)
    if differs and store.unfinished():
        raise UsageError(
            f"{store.directory} was started with {differs}, so the trials that are missing would come out otherwise "
            "than those it has; finish it with what it was started with, or train all of it here with --fresh"
        )


def _directory(plan: Plan, results: Path, fresh: bool) -> Path:
    """The plan's directory; with ``fresh`` the last sibling (``-2``, ``-3`` …) if unfinished, else the next."""
    directory, number = results / plan.name, 2
    while fresh and (directory / FILE).exists():
        if number > 2 and run_facts(directory).get("status", {}).get("state") != "complete":
            break
        directory, number = results / f"{plan.name}-{number}", number + 1
    return directory


def _facts(plan: Plan) -> dict[str, Any]:
    data = plan.settings[0].dataset
    losses = {setting.suffix.removeprefix("@"): setting.constant_loss for setting in plan.settings}
    alike = len(set(losses.values())) == 1
    return {
        "config": resolved_config(plan),
        "labels": plan.labels,
        "recipes": {e.label + s.suffix: asdict(e.recipe) for s in plan.settings for e in s.experiment.schemes},
        "data": {
            "name": data.name,
            "task": "classification" if plan.settings[0].has_accuracy else "regression",  # what results are ranked by
            "outputs": data.outputs,
            "source": data.source,
            "fingerprint": data.fingerprint,
            "constant_loss": next(iter(losses.values())) if alike else None,
            "constant_losses": losses,
            "notes": list(plan.settings[0].notes),
        },
    }


def _prepare(plan: Plan, store: Store, env: dict[str, Any], here: dict[str, Any], progress: Progress) -> None:
    differs = _differences(env, here | {"threads": env["threads"]})  # the thread count is restored
    if differs:
        progress.note(f"this run was started with {differs}")
    write_text(store.directory / "config.yaml", dump(resolved_config(plan)))
    write_json(store.directory / "env.json", env)
    store.write_status("running")


def _copy_finished(plan: Plan, store: Store, results: Path, progress: Progress) -> None:
    missing = store.unfinished()
    ours: dict[str, list[int]] = {}
    for position in missing:
        ours.setdefault(plan.trials[position].identity, []).append(position)
    env, warned, copied = store.meta("env"), store.warnings(), 0
    for other, found in finished_elsewhere(results, store.directory, ours).items():
        pairs = [(theirs, position) for identity, theirs in found.items() for position in ours[identity]]
        store.copy(other, pairs)
        progress.note(f"{len(pairs)} copied from {other.name}")
        copied += len(pairs)
        differs = _differences(run_facts(other).get("env", {}), env, (*REFUSED_IF_DIFFERENT, *SHOWN_IF_DIFFERENT))
        if differs:
            text = f"{other.name}, whose trials are copied, ran with {differs}"
            progress.note(text)
            env = env | {"copied": [*env.get("copied", []), text]}
    for label, (seed, texts) in store.warnings().items():
        if label not in warned:
            progress.note(warning(label, seed, texts))
    if copied:
        store.set_meta(env=env)
        progress.note(f"{len(missing) - copied} to train")


def _differences(theirs: dict[str, Any], ours: dict[str, Any], keys: Sequence[str] = SHOWN_IF_DIFFERENT) -> str:
    """What differs: ``torch 2.12.0, not 2.13.0``."""
    keys = [key for key in keys if key in theirs and theirs[key] != ours[key]]
    return ", ".join(f"{key} {theirs[key]}, not {ours[key]}" for key in keys)


def _train_all(plan: Plan, store: Store, env: dict[str, Any], progress: Progress, how: How) -> None:
    missing = store.unfinished()
    divided = _divided(plan, store, env, progress, how)
    updates = sum(plan.trials[position].setting.steps for position in missing)
    progress.begin(len(plan.trials), len(plan.trials) - len(missing), updates)
    for position, status, *finals in store.finals():
        progress.known(plan.trials[position], status, headline(plan.trials[position], *finals))
    training = Training(plan, store, progress, fail_fast=how.fail_fast)
    with replayable(plan.settings[0].device, env["threads"], plan.config.base.general.precision):
        training.run(divided.stacks, divided.at_once)


@contextlib.contextmanager
def _interruptible(store: Store) -> Iterator[None]:
    """A run that does not come to its end says so."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(WinitError):
            store.write_status("interrupted")
        raise


def _divided(plan: Plan, store: Store, env: dict[str, Any], progress: Progress, how: How) -> Division:
    """The stacks that the run was started with, else those that its budget and threads give; recorded either way."""
    missing, has_begun = store.unfinished(), store.has_begun()
    kept = {key: store.meta(key) for key in ("stacks", "stacks_at_once", "memory")} if has_begun else None
    budget = env.get("memory_budget_bytes", MEMORY)
    divided = division(plan, missing, budget, env["threads"], kept)
    said = left_aside(how.memory, divided.budget) if has_begun else too_large(plan, missing, divided.budget)
    if said:
        progress.note(said)
    store.set_meta(**divided.facts(), halved=store.meta("halved", []) if has_begun else [])
    return divided


def _write_tables(plan: Plan, store: Store, progress: Progress) -> None:
    write_text(store.directory / "config.yaml", dump(resolved_config(plan)))
    write_json(store.directory / "env.json", store.meta("env"))
    for text in store.export():
        progress.note(text)
    for name, table in tables_of(read_run(store.directory, steps_of(plan.config.claims))).files().items():
        write_csv(store.directory / f"{name}.csv", list(table.columns), table.itertuples(index=False))
