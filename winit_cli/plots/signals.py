"""What the figures of a probe are drawn from: tables, which a run has too. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pandas import DataFrame

from winit_cli.plots.panels import variants
from winit_cli.stats import layer_means


@dataclass(frozen=True)
class Signals:
    """``probe.csv``, ``verdicts.csv``, ``histograms.csv`` and ``init.csv`` as tables, the resolved config, and the
    labels in its order; tables may be empty."""

    probe: DataFrame
    verdicts: DataFrame
    histograms: DataFrame
    init: DataFrame
    config: dict[str, Any]
    labels: list[str]

    @cached_property
    def means(self) -> DataFrame:
        """Means and intervals over the seeds, of layers alone: a row of a parameter is none of a layer."""
        layers = self.probe.loc[self.probe["metric"] == "pre_mean_square", ["label", "layer"]].drop_duplicates()
        return layer_means(self.probe.merge(layers, on=["label", "layer"]))

    def of(self, label: str, metric: str) -> DataFrame:
        """A label's layers in order, with depth, mean, ci_low and ci_high of a metric."""
        found = self.means[(self.means["label"] == label) & (self.means["metric"] == metric)]
        return found.sort_values("depth", kind="stable")

    def seeds(self, label: str, metric: str) -> list[DataFrame]:
        """The same of each seed alone, with depth and value."""
        found = self.probe[(self.probe["label"] == label) & (self.probe["metric"] == metric)]
        layers = found[found["layer"].isin(self.of(label, metric)["layer"])].sort_values("depth", kind="stable")
        return [rows for _, rows in layers.groupby("seed", sort=False)]

    @cached_property
    def variants(self) -> dict[str, tuple[str, ...]]:
        """The labels that were probed, by variant."""
        there = set(self.probe["label"])
        return variants([label for label in self.labels if label in there])
