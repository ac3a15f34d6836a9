"""Charts of loss and accuracy over steps, a panel per variant, rate and split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from pandas import DataFrame

from winit_cli.plots.curves import TITLES
from winit_cli.plots.panels import MOST, Facet, facets
from winit_cli.plots.window import Window, constant_of, cut_off, diverged, window_of
from winit_cli.report.bands import Band, bands, thinned
from winit_cli.report.charts import BOTTOM, LEFT, RIGHT, TOP, Chart, Key, Series, keys
from winit_cli.report.scales import Axis, Floats, linear, logarithmic
from winit_cli.store.frames import RunFrames

POINTS = 30_000  # of all curves of one value together
FEWEST, ENOUGH = 40, 240  # points of one curve
TAILS = 10  # diverged trials of one label that are drawn


def charts(run: RunFrames, value: str) -> list[Chart]:
    """The panels of ``loss`` or ``accuracy``; none where it was not measured."""
    measured = run.curves[run.curves[value].notna()]
    splits = [split for split in TITLES if (measured["split"] == split).any()]
    shown = facets(run)[:MOST]
    most = int(np.clip(POINTS // max(1, len(splits) * len(run.labels) * min(MOST, len(shown))), FEWEST, ENOUGH))
    lost = diverged(run)
    return [
        chart
        for place, facet in enumerate(shown)
        for chart in _of_facet(run, (place, facet), facet.of(measured), value, facet.of(lost), most)
    ]


def _of_facet(
    run: RunFrames, numbered: tuple[int, Facet], frame: DataFrame, value: str, lost: DataFrame, most: int
) -> Iterator[Chart]:
    place, facet = numbered
    constant = constant_of(run, facet) if value == "loss" else None
    window = window_of(frame, value, constant, list(lost["trial"]))
    legend = keys(run.labels)
    for split in dict.fromkeys(name for name in TITLES if (frame["split"] == name).any()):
        mine = frame[frame["split"] == split]
        alive = mine[~mine["trial"].isin(lost["trial"])]
        steps = np.sort(mine["step"].unique())
        steps = steps[thinned(len(steps), most)]
        title = f"{TITLES[split]} {value}"
        yield Chart(
            name=f"{value}-{split}-{place}",
            title=f"{title}, {facet.title}" if facet.title else title,
            x_name="step",
            y_name=value,
            x=linear(0.0, float(max(1, steps[-1])), LEFT, RIGHT),
            y=_axis(window),
            places=steps.astype(np.float64),
            series=list(_series(facet.labels, legend, alive, (mine, lost), value, steps, window)),
            note=cut_off(frame, split, value, window).strip(),
            level=constant,
        )


def _axis(window: Window) -> Axis:
    return (logarithmic if window.log else linear)(window.low, window.high, BOTTOM, TOP)


def _series(
    labels: Sequence[str],
    legend: dict[str, Key],
    alive: DataFrame,
    dead: tuple[DataFrame, DataFrame],
    value: str,
    steps: np.ndarray,
    window: Window,
) -> Iterator[Series]:
    found = bands(alive, "step", value, list(steps))
    worst = window.high if value == "loss" else window.low
    for label in labels:
        lost = dead[1][dead[1]["label"] == label][:TAILS]
        if label in found or len(lost):
            tails = list(_tails(dead[0], lost, value, steps, worst))
            ends = [(float(x[-1]), float(y[-1])) for x, y in tails]
            yield Series(legend[label], found.get(label, Band.nothing(len(steps))), ends=ends, tails=tails)


def _tails(
    mine: DataFrame, lost: DataFrame, value: str, steps: np.ndarray, worst: float
) -> Iterator[tuple[Floats, Floats]]:
    """What each diverged trial did, at the steps that are drawn, up to the one at which it stopped."""
    for trial, end in zip(lost["trial"], lost["diverged_step"], strict=True):
        rows = mine[(mine["trial"] == trial) & mine["step"].isin(steps)]
        numbers = pd.to_numeric(rows[value]).to_numpy(dtype=np.float64)
        last = numbers[-1] if len(numbers) else worst
        yield np.append(rows["step"].to_numpy(dtype=np.float64), float(end)), np.append(numbers, last)
