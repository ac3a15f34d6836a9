"""Figures that the page shows as pictures, each with its numbers as a table."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winit_cli.findings import Findings
from winit_cli.findings.numbers import Row, number, records
from winit_cli.plots import PLOTS
from winit_cli.plots.panels import rates
from winit_cli.plots.signal_plots import SIGNAL_PLOTS
from winit_cli.report.bands import thinned
from winit_cli.report.charts import Chart
from winit_cli.report.depth import over_time
from winit_cli.report.tables import Cell, Column, Table, cell
from winit_cli.store.frames import RunFrames

DENSITY = 1.3  # pixels of a figure per pixel of the page
MOMENTS = 7  # places of a chart that its table names
DISTINCT = 1e-6  # of the largest weight: nearer units count as equal
FINALS = ("label", "lr", "n", "diverged", "mean", "ci_low", "ci_high", "median", "iqm", "sd")
SIGNAL = tuple(plot.name for plot in SIGNAL_PLOTS)
BOXES = ("probe_weights", "probe_pre_activations", "probe_activations")  # long, so folded away
SHOWN = ("final_metric", "final_metric_leaders", "gradient_heatmap", "init_std", "units", *SIGNAL)


@dataclass(frozen=True)
class Picture:
    """A figure of PLOTS as a data URI, with its size on the page."""

    name: str
    title: str
    caption: str
    uri: str
    width: int
    height: int


def pictures(drawn: Mapping[str, bytes]) -> dict[str, Picture]:
    """The figures that are drawn and shown as they are; the others are charts of the page."""
    return {
        plot.name: Picture(plot.name, plot.title, plot.caption, _uri(drawn[plot.name]), *_size(drawn[plot.name]))
        for plot in PLOTS
        if plot.name in drawn and plot.name in SHOWN
    }


def _size(picture: bytes) -> tuple[int, int]:
    """Width and height of a PNG on the page, where a letter of figures is as large as one of tables."""
    sides = struct.unpack(">II", picture[16:24].ljust(8, b"\0"))
    return round(sides[0] / DENSITY), round(sides[1] / DENSITY)


def _uri(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode('ascii')}"


def of_chart(chart: Chart) -> Table:
    """The lines of a chart with their bands, at a few places."""
    kept = thinned(len(chart.places), MOMENTS).tolist() if len(chart.places) else []
    names = [chart.names[place] if chart.names else number(float(chart.places[place])) for place in kept]
    columns = [Column("label"), *(Column(f"{chart.x_name} {name}", numeric=True) for name in names)]
    rows = [
        [Cell(series.key.name), *(_band(*(float(part[place]) for part in series.band)) for place in kept)]
        for series in chart.series
    ]
    return Table(chart.title, columns, rows, plain=True)


def _band(middle: float, low: float, high: float) -> Cell:
    if math.isnan(middle):
        return Cell("none")
    ends = "" if math.isnan(low) or low == high else f"{number(low)} to {number(high)}"
    return Cell(number(middle), middle, ends)


def of_finals(found: Findings) -> Table:
    """What the trials of each label and rate ended with."""
    frame = found.tables.summary[found.tables.summary["metric"] == found.metric]
    rows = [[_final(name, row) for name in FINALS] for row in records(frame)]
    return Table(f"{found.metric} of each label", [Column(name, numeric=name != "label") for name in FINALS], rows)


def _final(name: str, row: Row) -> Cell:
    """A number, with the interval of those that have one of their own: Wilson's of the share that diverged, and the
    bootstrap's of the interquartile mean."""
    if name == "diverged" and row["diverged"]:
        return cell(row[name], note=f"{row['divergence_low']:.0%} to {row['divergence_high']:.0%}")
    if name == "iqm" and not math.isnan(row["iqm_low"]):
        return cell(row[name], note=f"{number(row['iqm_low'])} to {number(row['iqm_high'])}")
    return cell(row[name])


def of_heat(run: RunFrames) -> Table:
    """Median gradient norms of each weight at a few steps."""
    steps, rows = over_time(run)
    several = len(rates(run)) > 1
    columns = [Column("label"), *([Column("lr", numeric=True)] if several else []), Column("weight")]
    columns += [Column(f"step {step}", numeric=True) for step in steps]
    cells = [
        [Cell(label), *([cell(lr)] if several else []), Cell(param), *(_or_none(value) for value in values)]
        for label, lr, param, values in rows
    ]
    return Table("gradient norms over time", columns, cells, plain=True)


def _or_none(value: float) -> Cell:
    return Cell("none") if math.isnan(value) else cell(value)


def of_units(run: RunFrames) -> Table:
    """What can be told of the pictures of units in numbers: how large the weights are and how many units differ."""
    frame = run.units
    frame = frame[(frame["seed"] == frame["seed"].iloc[0]) & (frame["lr"] == frame["lr"].iloc[0])]
    moments = {"start": "before", "end": "after"}
    columns = [Column("label")]
    for text in moments.values():
        columns += [Column(f"largest weight {text}", numeric=True), Column(f"distinct units {text}", numeric=True)]
    rows: list[Sequence[Cell]] = []
    for label in run.labels:
        mine = frame[frame["label"] == label].set_index("moment")["values"]
        cells = [part for moment in moments for part in _units(mine.get(moment))]
        rows.append([Cell(label), *cells])
    return Table("first-layer weights", columns, rows, plain=True)


def _units(values: NDArray[np.float32] | None) -> list[Cell]:
    if values is None:
        return [Cell("none"), Cell("none")]
    flat = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    if not np.isfinite(flat).all():
        return [Cell("not a number"), Cell("none")]
    largest = float(np.abs(flat).max(initial=0.0))
    distinct = len(np.unique(np.round(flat / (largest or 1.0) / DISTINCT), axis=0))
    return [cell(largest), cell(float(distinct))]
