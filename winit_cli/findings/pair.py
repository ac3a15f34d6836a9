"""Two runs side by side: in what they differ, how their labels did, and whether trials of both came out alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame

from winit_cli.errors import StorageError
from winit_cli.findings.differences import Differences, config_differences, environment_differences
from winit_cli.stats import COUNTED, METRICS, headline, numbers_of, summarize
from winit_cli.stats.summary import MOMENTS
from winit_cli.store.reading import facts_of, reading, refuse_damage
from winit_cli.store.runs import state_of
from winit_cli.store.schema import TRIALS

ENDS = ("status", "outcome", *METRICS, "diverged_step")  # of a trial, what training made


@dataclass(frozen=True)
class Side:
    """One of the runs, without its curves; ``trials`` are those of the experiment's seeds."""

    path: Path
    config: dict[str, Any]
    env: dict[str, Any]
    data: dict[str, Any]
    state: str
    labels: list[str]
    trials: DataFrame

    @property
    def counts(self) -> dict[str, int]:
        """Trials by status."""
        return {str(status): int(count) for status, count in self.trials["status"].value_counts().items()}

    @cached_property
    def summary(self) -> DataFrame:
        """As in summary.csv."""
        return summarize(self.trials, self.labels)


def read_side(path: Path) -> Side:
    """Read what is compared of a run.

    Raises:
        StorageError: the store is missing or damaged, or the run was only just begun.
    """
    with reading(path) as connection:
        refuse_damage(connection, path)
        facts = facts_of(connection)
        if "config" not in facts:
            raise StorageError(f"{path} was only just begun and holds nothing yet; ask again in a moment")
        trials = pd.read_sql_query(
            f"SELECT {', '.join(TRIALS)}, copied_from, identity FROM trials ORDER BY id", connection
        )
        if facts["config"].get("select"):
            trials = trials[trials["seed"].isin(facts["config"]["seeds"])]
        described = {name: facts[name] for name in ("config", "env", "data", "labels")}
    return Side(path, state=state_of(path, facts), trials=trials, **described)


@dataclass(frozen=True)
class Same:
    """Trials of equal identity in both runs: how many there are, of how many one is a copy, how many began with the
    same weights, how many have not ended in both, and of the others how many ended with the same numbers; by metric the
    trial with the largest difference, and it."""

    trials: int
    copied: int
    begun: int
    unfinished: int
    ended: int
    largest: dict[str, tuple[str, float]]


@dataclass(frozen=True)
class Pair:
    """Two runs, a and b."""

    a: Side
    b: Side

    @property
    def metric(self) -> str:
        """What labels are ranked by in both; the loss where one of them is regression."""
        found = {headline(str(side.data["task"])) for side in (self.a, self.b)}
        return found.pop() if len(found) == 1 else headline("regression")

    @property
    def same_data(self) -> bool:
        """Whether both were given the same examples."""
        return bool(self.a.data.get("fingerprint") == self.b.data.get("fingerprint"))

    @property
    def config(self) -> Differences:
        """In what data, config and schemes of one label differ."""
        return config_differences([self.a, self.b])

    @property
    def environment(self) -> Differences:
        """In what the environments differ, but for when they started."""
        return [row for row in environment_differences([self.a, self.b]) if row[0] != "started"]

    @property
    def by_rate(self) -> bool:
        """Whether labels are held against each other rate by rate; where each run has one rate, this is the one."""
        return any(len(side.config["train"]["lr"]) > 1 for side in (self.a, self.b))

    @cached_property
    def results(self) -> DataFrame:
        """A row per label, metric, and learning rate where there are several, that either run has: the moments of each
        with ``_a`` and ``_b``, and the difference of the means, b - a, if they are of the same examples."""
        keys = ["label", "lr", "metric"] if self.by_rate else ["label", "metric"]
        columns = dict.fromkeys([*keys, "lr", *MOMENTS])
        sides = [side.summary[list(columns)] for side in (self.a, self.b)]
        order = pd.concat([side[keys] for side in sides]).drop_duplicates()
        found = order.merge(sides[0].merge(sides[1], on=keys, how="outer", suffixes=("_a", "_b")), on=keys, how="left")
        return found.assign(difference=found["mean_b"] - found["mean_a"] if self.same_data else np.nan)

    @cached_property
    def same(self) -> Same:
        """How trials of equal identity came out."""
        both = self.a.trials.merge(self.b.trials, on="identity", suffixes=("_a", "_b"))
        copied = both["copied_from_a"].notna() | both["copied_from_b"].notna()
        over = both["status_a"].isin(COUNTED) & both["status_b"].isin(COUNTED)
        alike = [_alike(both, name) for name in ENDS]
        largest = {name: found for name in METRICS if (found := _largest(both, name)) is not None}
        begun = _alike(both, "init_hash") & both["init_hash_a"].notna().to_numpy()
        ended = np.logical_and.reduce([over.to_numpy(), *alike])
        return Same(len(both), int(copied.sum()), int(begun.sum()), int((~over).sum()), int(ended.sum()), largest)


def _alike(both: DataFrame, name: str) -> Any:
    a, b = both[f"{name}_a"], both[f"{name}_b"]
    return ((a == b) | (a.isna() & b.isna())).to_numpy()


def _largest(both: DataFrame, metric: str) -> tuple[str, float] | None:
    """The trial whose values differ most, and by how much; nothing where none differ."""
    gaps = np.abs(numbers_of(both, f"{metric}_b") - numbers_of(both, f"{metric}_a"))
    if not len(gaps) or np.isnan(gaps).all() or np.nanmax(gaps) == 0:
        return None
    place = int(np.nanargmax(gaps))
    return str(both["trial_a"].iloc[place]), float(gaps[place])
