"""Trials that other runs have finished, taken over instead of trained again."""

from __future__ import annotations

from pathlib import Path

from winit_cli.environment import REFUSED_IF_DIFFERENT, SHOWN_IF_DIFFERENT, differences
from winit_cli.plan import Plan
from winit_cli.shards import Shard
from winit_cli.store.runs import finished_elsewhere, run_facts
from winit_cli.store.store import Store
from winit_cli.training import Progress, warning


def copy_finished(plan: Plan, store: Store, results: Path, progress: Progress, shard: Shard | None) -> None:
    """Copy what is missing from the runs under a results directory, but for the other shards of the same run, which
    train other trials; say aloud from where."""
    missing = store.unfinished()
    but = {store.directory.name, *(other.directory(plan.name) for other in (shard.all if shard else ()))}
    ours: dict[str, list[int]] = {}
    for position in missing:
        ours.setdefault(plan.trials[position].identity, []).append(position)
    env, warned, copied = store.meta("env"), store.warnings(), 0
    for other, found in finished_elsewhere(results, but, ours).items():
        pairs = [(theirs, position) for identity, theirs in found.items() for position in ours[identity]]
        store.copy(other, pairs)
        progress.note(f"{len(pairs)} copied from {other.name}")
        copied += len(pairs)
        differs = differences(run_facts(other).get("env", {}), env, (*REFUSED_IF_DIFFERENT, *SHOWN_IF_DIFFERENT))
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
