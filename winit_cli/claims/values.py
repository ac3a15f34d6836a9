"""One number per seed for each term, out of the tables of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame

from winit_cli.claims.claim import Term
from winit_cli.claims.metrics import METRICS, Metric
from winit_cli.stats import COUNTED

Values = dict[int, float]  # by seed


@dataclass(frozen=True)
class Source:
    """The tables of a run, by the names of their CSV files and with their columns, and the learning rate of each label
    that ``select:`` chose. ``trials`` may have ``steps_to_target`` and ``loss_area`` too."""

    tables: Mapping[str, DataFrame]
    selected: Mapping[str, float]
    _places: dict[str, dict[Any, Any]] = field(default_factory=dict)  # of the rows of each label, by table

    def values(self, term: Term) -> Values:
        """By seed of every finished trial: NaN where its value is no number, or where it diverged before it had one; a
        trial that went well and was not measured is left out."""
        metric, trials = METRICS[term.metric], self.trials(term)
        if metric.table == "trials":
            return _finals(trials, metric) if self._has(metric, trials) else {}
        rows = self._of(term, metric.table)
        for key, value in metric.cells(term.keys).items():
            rows = rows[rows[key] == value]
        if "split" in rows:
            rows = rows[rows["split"] == metric.part]
        found = dict(zip(rows["seed"], _numbers(rows[metric.column]), strict=True))
        ended = zip(trials["seed"], trials["status"], strict=True)
        return {int(seed): found.get(seed, math.nan) for seed, status in ended if seed in found or status != "ok"}

    def trials(self, term: Term) -> DataFrame:
        """The finished trials of a term."""
        trials = self._of(term, "trials")
        return trials[trials["status"].isin(COUNTED)]

    def _of(self, term: Term, name: str) -> DataFrame:
        rate = self.selected.get(term.label) if term.lr is None else term.lr
        if name not in self._places:
            self._places[name] = dict(self.tables[name].groupby("label").indices)
        rows: DataFrame = self.tables[name].iloc[self._places[name].get(term.label, [])]
        return rows[rows["lr"] == rate] if "lr" in rows else rows

    def _has(self, metric: Metric, mine: DataFrame) -> bool:
        """Whether a metric was measured of some trials: one of them that went well has a value, or if none did, one of
        any label."""
        if metric.column not in mine:
            return False
        trials = self.tables["trials"]
        well = next((found for found in (mine, trials) if (found["status"] == "ok").any()), None)
        return well is None or bool(well.loc[well["status"] == "ok", metric.column].notna().any())


def _finals(trials: DataFrame, metric: Metric) -> Values:
    numbers = _numbers(trials[metric.column])
    there = ~np.isnan(numbers) | (trials["status"] != "ok").to_numpy()
    values = np.where(np.isnan(numbers), metric.worst, numbers)[there].tolist()
    return dict(zip(trials["seed"][there].astype(int), values, strict=True))


def _numbers(column: pd.Series) -> np.ndarray:
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=math.nan)
