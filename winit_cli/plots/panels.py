"""Panels: which labels and learning rate share one, and the figure that holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pandas import DataFrame

from winit_cli.plots.style import GREY, SMALL
from winit_cli.stats import split_label
from winit_cli.store.frames import RunFrames

# Agg cannot draw beyond 65,536 pixels, and nobody scrolls that far
MOST = 24


@dataclass(frozen=True)
class Facet:
    """The labels of one variant at one learning rate; ``title`` is empty where there is only one facet."""

    labels: tuple[str, ...]
    lr: float
    title: str

    def of(self, frame: DataFrame) -> DataFrame:
        """The rows of a table that belong here."""
        return frame[frame["label"].isin(self.labels) & (frame["lr"] == self.lr)]


def rates(run: RunFrames) -> list[float]:
    """The learning rates in the config's order."""
    return [float(lr) for lr in run.trials["lr"].unique()]


def variants(labels: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The labels of each variant; labels without one are the variant ``""``."""
    found: dict[str, list[str]] = {}
    for label in labels:
        found.setdefault(split_label(label)[1], []).append(label)
    return {variant: tuple(members) for variant, members in found.items()}


def facets(run: RunFrames) -> list[Facet]:
    """One facet per variant and learning rate."""
    by_variant, lrs = variants(run.labels), rates(run)
    return [
        Facet(labels, lr, ", ".join(filter(None, (variant, f"lr {lr:g}" if len(lrs) > 1 else ""))))
        for variant, labels in by_variant.items()
        for lr in lrs
    ]


def grid(rows: int, columns: int, *, width: float, height: float, **options: Any) -> tuple[Figure, NDArray[Any]]:
    """A figure of rows × columns axes, each ``width`` × ``height`` inches; axes have shape (rows, columns)."""
    figure = Figure(figsize=(width * columns, height * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        ax.tick_params(labelsize=SMALL)
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes


def heading(ax: Axes, text: str, note: str = "", size: int = 9) -> None:
    """A panel's title at the left, with a small remark under it, both outside of the data."""
    ax.set_title(text, loc="left", fontsize=size, pad=15 if note else 5)
    if note:
        ax.annotate(note, (0, 1), (0, 4), xycoords="axes fraction", textcoords="offset points", fontsize=7, color=GREY)


def remark(figure: Figure, shown: int, total: int, what: str) -> None:
    """Say under the figure that not everything is drawn."""
    if shown < total:
        figure.text(0.01, 0.0, f"the first {shown} of {total} {what}", fontsize=SMALL, color=GREY, va="bottom")


def quantiles(frame: DataFrame, by: str, value: str) -> DataFrame:
    """Over seeds, for each ``by`` in order of appearance: columns ``low``, ``middle``, ``high`` (25, 50, 75 %)."""
    finite = frame[np.isfinite(frame[value].astype(float))]
    grouped = finite.astype({value: float}).groupby(by, sort=False)[value]
    return DataFrame({"low": grouped.quantile(0.25), "middle": grouped.median(), "high": grouped.quantile(0.75)})
