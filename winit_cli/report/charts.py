"""Line charts of the page, as numbers that a template draws and a script reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from winit_cli.plots.style import COLORS, LINES, looks
from winit_cli.report.bands import Band
from winit_cli.report.scales import Axis, Floats
from winit_cli.stats import split_label
from winit_cli.visible import visible

WIDTH, HEIGHT = 440, 290
LEFT, RIGHT, TOP, BOTTOM = 54.0, 424.0, 12.0, 244.0
ASIDE = 2.5  # between series that stand side by side
DOTTED = 14  # series of at most so many places have a dot at each


@dataclass(frozen=True)
class Key:
    """One entry of the legend: its place there, its colour's place in the palette, its dashes."""

    place: int
    name: str
    color: int
    dashes: str


@dataclass(frozen=True, eq=False)
class Series:
    """One label in a chart: the middle of its band is a line, and NaN leaves a gap in both.

    ``ends`` are places where trials stopped, ``tails`` the lines that lead there.
    """

    key: Key
    band: Band
    ends: Sequence[tuple[float, float]] = ()
    tails: Sequence[tuple[Floats, Floats]] = ()


@dataclass(frozen=True)
class Chart:
    """One panel. ``places`` are the values along x that all series share, ``names`` their texts in a readout.
    With ``whiskers`` ranges are bars, and series stand side by side."""

    name: str
    title: str
    x_name: str
    y_name: str
    x: Axis
    y: Axis
    places: Floats
    series: Sequence[Series]
    note: str = ""
    about: str = "median and middle half"
    level: float | None = None
    names: Sequence[str] = field(default_factory=list)
    whiskers: bool = False

    @property
    def anchor(self) -> str:
        """The name as an id."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @property
    def along(self) -> Floats:
        return self.x.place(self.places)

    @property
    def level_at(self) -> float | None:
        """Where the level line lies, if it can be seen."""
        if self.level is None or not self.y.low <= self.level <= self.y.high:
            return None
        return round(float(self.y.place([self.level])[0]), 1)

    def beside(self, series: Series) -> Floats:
        """Where the places of a series are drawn."""
        if not self.whiskers:
            return self.along
        middle = (len(self.series) - 1) / 2
        return self.along + ASIDE * (list(self.series).index(series) - middle)

    def line(self, series: Series) -> str:
        return path(self.beside(series), self.y.place(series.band.middle))

    def area(self, series: Series) -> str:
        draw = bars if self.whiskers else area
        return draw(self.beside(series), self.y.place(series.band.low), self.y.place(series.band.high))

    def dots(self, series: Series) -> str:
        """Lines without length, which round ends turn into dots."""
        return dots(self.beside(series), self.y.place(series.band.middle)) if len(self.places) <= DOTTED else ""

    def tails(self, series: Series) -> str:
        return "".join(path(self.x.place(x), self.y.place(y)) for x, y in series.tails)

    def crosses(self, series: Series) -> str:
        x, y = (self.x.place([end[0] for end in series.ends]), self.y.place([end[1] for end in series.ends]))
        return crosses(x, np.clip(y, TOP, BOTTOM))

    def document(self) -> dict[str, object]:
        """What the readout needs."""
        return {
            "x": [_short(value) for value in self.places],
            "at": [_short(value) for value in self.along],
            "name": visible(self.x_name),
            "box": [LEFT, RIGHT],
            "names": [visible(name) for name in self.names],
            "y": self.y.document(),
            "series": [[each.key.place, [_short(value) for value in each.band.middle]] for each in self.series],
        }


def keys(labels: Sequence[str]) -> dict[str, Key]:
    """The legend's entry of each label; variants of one label share it, as they share a look in figures."""
    bases = list(dict.fromkeys(split_label(label)[0] for label in labels))
    shown = looks(bases)
    found = {
        base: Key(place, base, COLORS.index(shown[base].color), _dashes(shown[base].line))
        for place, base in enumerate(bases)
    }
    return {label: found[split_label(label)[0]] for label in labels}


def _dashes(line: object) -> str:
    return "" if line == LINES[0] or not isinstance(line, tuple) else " ".join(f"{2 * part:g}" for part in line[1])


def path(x: Floats, y: Floats) -> str:
    """A line through the finite points, broken where there is none."""
    return "".join("M" + "L".join(_points(x[part], y[part])) for part in _runs(np.isfinite(x) & np.isfinite(y)))


def area(x: Floats, low: Floats, high: Floats) -> str:
    """The area between two lines."""
    runs = _runs(np.isfinite(x) & np.isfinite(low) & np.isfinite(high))
    return "".join(
        "M" + "L".join([*_points(x[part], high[part]), *_points(x[part], low[part])[::-1]]) + "Z"
        for part in runs
        if part.stop - part.start > 1
    )


def bars(x: Floats, low: Floats, high: Floats) -> str:
    """A bar from low to high at each place."""
    ends = zip(x.tolist(), low.tolist(), high.tolist(), strict=True)
    return "".join(f"M{at:.1f} {bottom:.1f}V{top:.1f}" for at, bottom, top in ends if np.isfinite(bottom + top))


def dots(x: Floats, y: Floats) -> str:
    """A dot at each finite point."""
    return "".join(f"M{point}h0" for point in _points(x, y))


def crosses(x: Floats, y: Floats) -> str:
    """A cross at each point."""
    return "".join(f"M{point}m-4-4l8 8m-8 0l8-8" for point in _points(x, y))


def _points(x: Floats, y: Floats) -> list[str]:
    return [f"{a:.1f} {b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True) if np.isfinite(a + b)]


def _runs(there: NDArray[np.bool_]) -> list[slice]:
    """The stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], there.astype(np.int8), [0]))))
    return [slice(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None
