"""Tiny experiments for the tests: from a few lines of YAML to a run on disk, without the command line."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from winit_cli.config import override, parse, resolve
from winit_cli.plan import Plan, Trial, make_plan
from winit_cli.runner import How, Result, run_plan

BASE = """
name: small
model: {name: mlp, width: 6, depth: 2}
data: {name: gaussian, features: 5, classes: 3, train_size: 50, test_size: 20}
schemes: [kaiming_normal]
train: {steps: 6, batch_size: 8, lr: 0.1}
seeds: 2
measure: {every: 2, test_every: 3}
"""
DETERMINISTIC = (
    "trials",
    "curves",
    "gradients",
    "init",
    "summary",
    "comparisons",
    "ranks",
    "learning",
    "best_lr",
    "claims",
    "probe",
    "verdicts",
    "histograms",
)


class Heard:
    """A ``Progress`` that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.places: list[str] = []
        self.done: list[tuple[str, str]] = []
        self.before: list[tuple[str, str, float | None]] = []
        self.finals: list[float | None] = []
        self.steps = self.spared = 0

    def begin(self, trials: int, done: int, updates: int) -> None:
        self.begun = (trials, done, updates)

    def advance(self, updates: int) -> None:
        self.steps += updates

    def spare(self, updates: int) -> None:
        self.spared += updates

    def known(self, trial: Trial, status: str, final: float | None) -> None:
        self.before.append((trial.key, status, final))

    def trial_done(self, trial: Trial, status: str, final: float | None) -> None:
        self.done.append((trial.key, status))
        self.finals.append(final)

    def where(self, text: str) -> None:
        self.places.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)


def plan_of(*settings: str, text: str = BASE) -> Plan:
    """The plan of a config with ``key=value`` overrides."""
    document = parse(text, "small.yaml")
    for setting in settings:
        override(document, setting)
    return make_plan(resolve(document), "cpu")


def run_of(results: Path, *settings: str, text: str = BASE, heard: Heard | None = None, fresh: bool = False) -> Result:
    """Run a config under a results directory."""
    return run_plan(plan_of(*settings, text=text), results, heard or Heard(), How(fresh=fresh))


def rows(result: Result, table: str, **where: Any) -> list[dict[str, str]]:
    """The rows of a CSV file whose cells equal the given values."""
    with (result.directory / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    return [row for row in found if all(row[key] == str(value) for key, value in where.items())]


def column(result: Result, table: str, name: str, **where: Any) -> list[float]:
    """One column of those rows as numbers."""
    return [float(row[name]) for row in rows(result, table, **where)]


def bytes_of(result: Result) -> dict[str, bytes]:
    """The tables that two equal runs share to the byte."""
    return {table: (result.directory / f"{table}.csv").read_bytes() for table in DETERMINISTIC}
