"""Charts of gradient norms by layer, before training and at its end, and their numbers over time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from pandas import DataFrame

from winit_cli.plots.gradient_heatmap import matrix
from winit_cli.plots.gradients_by_layer import RANGE
from winit_cli.plots.logscale import LogScale
from winit_cli.plots.panels import MOST, Facet, facets, rates
from winit_cli.plots.style import named as naming
from winit_cli.plots.style import short
from winit_cli.report.bands import Band, bands, thinned
from winit_cli.report.charts import BOTTOM, LEFT, RIGHT, TOP, Chart, Series, keys
from winit_cli.report.scales import named, with_zeros
from winit_cli.store.frames import RunFrames

NUMBERS = 600  # rows of the table over time
MOMENTS = 6


def charts(run: RunFrames) -> list[Chart]:
    """Two panels per variant and rate; none without gradients."""
    frame = run.weight_gradients
    if frame.empty:
        return []
    steps = sorted({0, int(frame["step"].max())})
    frame = frame[frame["step"].isin(steps) & frame["grad_norm"].notna()]
    return [
        chart
        for place, facet in enumerate(facets(run)[:MOST])
        for chart in _of_facet(run, place, facet, facet.of(frame), steps)
    ]


def _of_facet(run: RunFrames, place: int, facet: Facet, frame: DataFrame, steps: list[int]) -> Iterator[Chart]:
    legend = keys(run.labels)
    scale = LogScale.over(frame["grad_norm"], within=RANGE)
    params = list(frame["param"].unique())
    names = list(short([param.removesuffix(".weight") for param in params], 16).values())
    for step in steps if params else ():
        found = bands(frame[frame["step"] == step], "param", "grad_norm", params)
        title = f"gradient norm at step {step}"
        yield Chart(
            name=f"gradient-{step}-{place}",
            title=f"{title}, {facet.title}" if facet.title else title,
            x_name="weight tensor",
            y_name="gradient norm",
            x=named(names, LEFT, RIGHT),
            y=with_zeros(scale, BOTTOM, TOP),
            places=np.arange(1.0, len(params) + 1),
            series=[Series(legend[label], found[label]) for label in facet.labels if label in found],
            note=_missing(facet, found),
            names=params,
        )


def _missing(facet: Facet, found: dict[str, Band]) -> str:
    gone = [label for label in facet.labels if label not in found]
    return f"no values: {naming(gone)}" if gone else ""


def over_time(run: RunFrames) -> tuple[list[int], list[tuple[str, float, str, list[float]]]]:
    """Some steps, and of each label, rate and weight the median gradient norms there."""
    frame = run.weight_gradients
    steps = np.sort(frame["step"].unique())
    chosen = steps[thinned(len(steps), MOMENTS)]
    frame = frame[frame["step"].isin(chosen)]
    rows: list[tuple[str, float, str, list[float]]] = []
    for label, lr in product(run.labels, rates(run)):
        mine = frame[(frame["label"] == label) & (frame["lr"] == lr)]
        if len(mine) and len(rows) < NUMBERS:
            found, values = matrix(mine)
            spread = np.full((len(values), len(chosen)), np.nan)
            spread[:, np.isin(chosen, found)] = values
            pairs = zip(mine["param"].unique(), spread.tolist(), strict=True)
            rows += [(label, lr, str(param), row) for param, row in pairs]
    return [int(step) for step in chosen], rows
