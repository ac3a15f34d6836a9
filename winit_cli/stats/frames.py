"""Trials as groups of labels and learning rates, and cells as numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas import DataFrame

METRICS = ("final_train_loss", "final_val_loss", "final_test_loss", "final_test_accuracy")
ALWAYS = ("final_train_loss", "final_test_loss")  # the others are missing from some experiments
COUNTED = ("ok", "diverged")
SELECTED = "selected"  # stands for the learning rate where each label has its selected one
Group = tuple[str, float | str, DataFrame]
Floats = NDArray[np.float64]
_VARIANT = re.compile(r"(?:@[^@=]+=[^@]*)+$")


def split_label(label: str) -> tuple[str, str]:
    """A label and its variant: ``kaiming_normal@depth=22`` gives ``kaiming_normal`` and ``depth=22``."""
    found = _VARIANT.search(label)
    return (label[: found.start()], label[found.start() + 1 :]) if found else (label, "")


def varied_model(config: Mapping[str, Any], variant: str) -> dict[str, Any]:
    """The model of a variant: that of the config, with what ``vary:`` changes in it."""
    model, chosen = dict(config.get("model", {})), variant.split(",")
    for key, values in config.get("vary", {}).items():
        section, _, option = key.partition(".")
        mine = [value for value in values if f"{option}={value}" in chosen]
        if section == "model" and mine:
            model[option] = mine[0]
    return model


def by_variant(labels: Sequence[str]) -> dict[str, list[str]]:
    """The labels of each variant, which are compared with one another only."""
    found: dict[str, list[str]] = {}
    for label in labels:
        found.setdefault(split_label(label)[1], []).append(label)
    return found


def groups(trials: DataFrame, labels: Sequence[str]) -> Iterator[tuple[str, float, DataFrame]]:
    """The finished trials of each label and learning rate, in the config's order."""
    rates = [float(lr) for lr in trials["lr"].unique()]
    finished = trials[trials["status"].isin(COUNTED)]
    rows = finished.groupby(["label", "lr"], sort=False).indices
    for label in labels:
        yield from ((label, lr, finished.iloc[rows.get((label, lr), [])]) for lr in rates)


def at_selected(there: Iterable[Group], selected: Mapping[str, float]) -> list[Group]:
    """Each label at its selected learning rate only; nothing where none were selected."""
    return [(label, SELECTED, group) for label, lr, group in there if selected.get(label) == lr]


def families(trials: DataFrame, labels: Sequence[str], selected: Mapping[str, float]) -> list[list[Group]]:
    """What is compared with one another: in each variant the labels at their selected learning rates, where rates were
    selected, and all labels and rates as they are."""
    variants: dict[str, list[Group]] = {}
    for group in groups(trials, labels):
        variants.setdefault(split_label(group[0])[1], []).append(group)
    both = [family for there in variants.values() for family in (at_selected(there, selected), there)]
    return [family for family in both if family]


def by_seed(compared: Sequence[DataFrame], values: Sequence[Floats]) -> tuple[Floats, NDArray[np.bool_]]:
    """Values of groups of trials as (R, S), a row for each group and a column for each seed of any; and which of them
    there are."""
    seeds = sorted({seed for group in compared for seed in group["seed"]})
    column = {seed: place for place, seed in enumerate(seeds)}
    matrix, there = np.full((len(compared), len(seeds)), math.nan), np.zeros((len(compared), len(seeds)), dtype=bool)
    for row, (group, numbers) in enumerate(zip(compared, values, strict=True)):
        mine = [column[seed] for seed in group["seed"]]
        matrix[row, mine], there[row, mine] = numbers, True
    return matrix, there


def numbers_of(frame: DataFrame, column: str) -> Floats:
    """A column as float64; blank cells and infinities are NaN."""
    cells = frame[column].to_numpy()
    if cells.dtype != np.float64:  # pandas takes its time, also where there is nothing to convert
        cells = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64, na_value=math.nan)
    return np.where(np.isfinite(cells), cells, math.nan)


def headline(task: str) -> str:
    """What labels are ranked by: test accuracy, or test loss for regression."""
    return "final_test_accuracy" if task == "classification" else "final_test_loss"


def measured(trials: DataFrame) -> list[str]:
    """The metrics that some trial has."""
    return [name for name in METRICS if np.isfinite(numbers_of(trials, name)).any()]


def sign_of(metric: str) -> float:
    """1 where higher is better, -1 where lower is."""
    return 1.0 if metric.endswith("accuracy") else -1.0
