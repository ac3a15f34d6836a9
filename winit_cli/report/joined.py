"""Several runs beside one another: labels down, runs across, and in what the runs differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from winit_cli.errors import UsageError
from winit_cli.findings import Findings
from winit_cli.findings.differences import Differences, differences
from winit_cli.findings.numbers import Row, records, with_interval
from winit_cli.jsonable import jsonable
from winit_cli.stats import SELECTED, split_label


@dataclass(frozen=True)
class Place:
    """A label's result in a run, at its best learning rate there. ``is_tied`` means that it is tied with the
    best of the run, or that the seeds do not rule out that it is the best itself; never where all trials are stuck or
    diverged."""

    row: Row
    metric: str
    is_best: bool
    is_tied: bool

    @property
    def text(self) -> str:
        """``0.912 ± 0.006``."""
        name = self.metric.removeprefix("final_test_")
        return with_interval(*(float(self.row[column]) for column in (name, f"{name}_low", f"{name}_high")))

    @property
    def is_over_survivors(self) -> bool:
        return bool(0 < self.row["diverged"] < self.row["n"])


@dataclass(frozen=True)
class Across:
    """One column: a run, or a varied value of it."""

    name: str
    found: Findings
    places: Mapping[str, Place]


@dataclass(frozen=True)
class Joined:
    """``differences`` are rows of what differs, with a value per run of ``names``; ``same_data`` says whether all runs
    were given the same examples. A run has a column per varied value."""

    metric: str
    runs: list[Findings]
    names: list[str]
    columns: list[Across]
    labels: list[str]
    differences: Differences
    same_data: bool

    @property
    def kind(self) -> str:
        """``accuracy`` or ``loss``."""
        return self.metric.removeprefix("final_test_")

    @property
    def places(self) -> list[Place]:
        """All that there are."""
        return [place for column in self.columns for place in column.places.values()]


def join(found: Sequence[Findings]) -> Joined:
    """Runs side by side.

    Raises:
        UsageError: they are not ranked by the same metric.
    """
    names = _names(found)
    metrics = dict(zip(names, (one.metric for one in found), strict=True))
    if len(set(metrics.values())) > 1:
        said = ", ".join(f"{name} by {metric}" for name, metric in metrics.items())
        raise UsageError(
            f"these runs are not ranked by the same metric ({said}); "
            "join runs of one kind, classification or regression"
        )
    columns = [column for name, one in zip(names, found, strict=True) for column in _columns(name, one)]
    labels = list(dict.fromkeys(label for column in columns for label in column.places))
    prints = {str(one.run.data.get("fingerprint")) for one in found}
    return Joined(
        found[0].metric, list(found), names, columns, labels, differences([one.run for one in found]), len(prints) == 1
    )


def _names(found: Sequence[Findings]) -> list[str]:
    """Names of the experiments, or of the directories where these are not enough, or else their paths."""
    paths = [one.run.path for one in found]
    spelled = ([str(one.run.config["name"]) for one in found], [path.name for path in paths])
    return next((names for names in spelled if len(set(names)) == len(names)), list(map(str, paths)))


def _columns(name: str, found: Findings) -> Iterator[Across]:
    rows = records(found.standings)
    for variant in dict.fromkeys(row["variant"] for row in rows):
        mine = [row for row in rows if row["variant"] == variant]
        tied = _tied_with(mine[0], found)
        best: dict[str, Place] = {}
        for row in mine:  # the best rate of a label comes first
            has_result = not math.isnan(row[found.metric.removeprefix("final_test_")])
            first = row["rank"] == 1 and has_result
            has_learned = has_result and row["n"] > row["stuck"] + row["diverged"]
            may_be = has_learned and (row["rank_low"] == 1 or (row["label"], row["lr"]) in tied)
            best.setdefault(split_label(row["label"])[0], Place(row, found.metric, first, may_be and not first))
        yield Across(f"{name}, {variant}" if variant else name, found, best)


def _tied_with(best: Row, found: Findings) -> set[tuple[str, float]]:
    """The labels and rates whose comparison with the best, where there is one, is a tie."""
    chosen = found.tables.rules.selected
    ties = [
        row for row in records(found.tables.comparisons) if row["metric"] == found.metric and row["verdict"] == "tied"
    ]
    tied = set()
    for row in ties:
        pair = [
            (label, chosen[label] if row["lr"] == SELECTED else row["lr"]) for label in (row["label_a"], row["label_b"])
        ]
        if (best["label"], best["lr"]) in pair:
            tied |= set(pair)
    return tied


def document(joined: Joined) -> dict[str, Any]:
    """The joined table as plain data."""
    kind = joined.kind
    return dict(
        jsonable(
            {
                "metric": joined.metric,
                "runs": [str(one.run.path) for one in joined.runs],
                "same_data": joined.same_data,
                "columns": [column.name for column in joined.columns],
                "rows": [
                    {"label": label, "cells": [_cell(column.places.get(label), kind) for column in joined.columns]}
                    for label in joined.labels
                ],
                "differences": {
                    what: dict(zip(joined.names, values, strict=True)) for what, values in joined.differences
                },
            }
        )
    )


def _cell(place: Place | None, kind: str) -> dict[str, Any] | None:
    if place is None:
        return None
    row = place.row
    score = {"mean": row[kind], "low": row[f"{kind}_low"], "high": row[f"{kind}_high"]}
    counts = {name: row[name] for name in ("lr", "n", "diverged", "stuck", "rank", "rank_low", "rank_high", "of")}
    return score | counts | {"best": place.is_best, "tied": place.is_tied, "verdict": row["verdict"]}
