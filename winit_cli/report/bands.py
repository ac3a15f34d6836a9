"""Medians and middle halves over seeds, on the places that all labels of a chart share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from winit_cli.report.scales import Floats
from winit_cli.stats import numbers_of

QUARTILES = (0.5, 0.25, 0.75)


class Band(NamedTuple):
    """Values over the places of a chart, with the ends of the range around each."""

    middle: Floats
    low: Floats
    high: Floats

    @staticmethod
    def nothing(places: int) -> Band:
        """Without any value."""
        return Band(*(np.full(places, np.nan) for _ in QUARTILES))


def bands(frame: DataFrame, by: str, value: str, places: list[Any]) -> dict[str, Band]:
    """Of each label the quartiles of ``value`` at each of ``places`` of column ``by``, NaN where there is none."""
    mine = frame[["label", by]].assign(number=numbers_of(frame, value)).dropna(subset=["number"])
    grouped = mine.groupby(["label", by], sort=False, observed=True)["number"].quantile(np.array(QUARTILES))
    table = grouped.unstack()
    return {
        str(label): Band(
            *(rows.droplevel("label")[share].reindex(places).to_numpy(dtype=np.float64) for share in QUARTILES)
        )
        for label, rows in table.groupby(level="label", sort=False)
    }


def thinned(count: int, most: int) -> NDArray[np.int64]:
    """Up to ``most`` of ``count`` positions, evenly, with both ends."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
