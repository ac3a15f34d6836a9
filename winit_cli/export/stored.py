"""What a run has stored of its config and its trials, and which of them a command means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winit_cli.config import Config, Document, resolve
from winit_cli.errors import StorageError, UsageError, known
from winit_cli.store.reading import FILE, facts_of, reading


@dataclass(frozen=True)
class StoredTrial:
    """One trial as the store has it; ``init_hash`` is ``None`` before it has begun and after it has failed."""

    label: str
    lr: float
    seed: int
    status: str
    init_hash: str | None


def named(run: Path) -> str:
    """The name of a run's directory, without characters that would break out of a comment or a file name."""
    return re.sub(r"[^\w.+@=, -]", "_", run.resolve().name)


@dataclass(frozen=True)
class StoredRun:
    """A run's directory, resolved config, environment and trials."""

    path: Path
    facts: dict[str, Any]
    env: dict[str, Any]
    labels: list[str]
    trials: list[StoredTrial]

    @property
    def name(self) -> str:
        """Name of the directory, without characters that would break out of a comment or a file name."""
        return named(self.path)

    def config(self, model: str | None = None, loss: str | None = None) -> Config:
        """The config that the run was made from, resolved again; a user's own model and loss under these names.

        Raises:
            ConfigError: it names code that was not loaded.
        """
        facts = dict(self.facts)
        if model is not None:
            facts["model"] = {**facts["model"], "name": model}
        if loss is not None:
            facts["train"] = {**facts["train"], "loss": loss}
        return resolve(Document(facts, str(self.path / "config.yaml")))

    def label(self, wanted: str | None) -> str:
        """A label of the run; the only one where none is asked for.

        Raises:
            UsageError: there is no such label, or more than one to choose from.
        """
        if wanted is None and len(self.labels) > 1:
            raise UsageError(f"{self.name} has several labels; choose one with --label: {', '.join(self.labels)}")
        label = self.labels[0] if wanted is None else wanted
        if label not in self.labels:
            raise UsageError(f"no label '{label}' in {self.name}; {known(label, self.labels)}")
        return label

    def trial(self, label: str, seed: int | None, lr: float | None) -> StoredTrial:
        """The trial with a label, a seed and a learning rate, which the initial values do not depend on.

        Raises:
            UsageError: there is no such trial, more than one seed to choose from, or nothing initialized yet.
        """
        mine = [trial for trial in self.trials if trial.label == label]
        seeds = list(dict.fromkeys(trial.seed for trial in mine))
        if seed is None and len(seeds) > 1:
            raise UsageError(f"{label} ran with several seeds; choose one with --seed: {_listed(seeds)}")
        if seed is not None and seed not in seeds:
            raise UsageError(f"no seed {seed} of {label} in {self.name}; {known(str(seed), map(str, seeds))}")
        mine = [trial for trial in mine if trial.seed == (seeds[0] if seed is None else seed)]
        rates = [trial.lr for trial in mine]
        if lr is not None and lr not in rates:
            raise UsageError(f"no learning rate {lr!r} of {label} in {self.name}; {known(repr(lr), map(repr, rates))}")
        mine = [trial for trial in mine if lr in (None, trial.lr)]
        begun = [trial for trial in mine if trial.init_hash is not None]
        if not begun:
            key = f"{label}/{mine[0].lr!r}/{mine[0].seed}"
            again = f"winit run {self.path / 'config.yaml'} --results {self.path.parent}"
            raise UsageError(f"{key} has no initialization on record (it is {mine[0].status}); train it with: {again}")
        return begun[0]


def read_stored(path: Path) -> StoredRun:
    """Read what a run's store says of its config and trials, without its measurements.

    Raises:
        StorageError: the store is missing or damaged.
    """
    with reading(path) as connection:
        rows = connection.execute("SELECT label, lr, seed, status, init_hash FROM trials ORDER BY id").fetchall()
        meta = facts_of(connection)
    try:
        facts, env, labels = (meta[key] for key in ("config", "env", "labels"))
    except KeyError:
        raise StorageError(f"{path / FILE} does not say what was run; winit list runs shows the others") from None
    return StoredRun(path, facts, env, labels, [StoredTrial(*row) for row in rows])


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
