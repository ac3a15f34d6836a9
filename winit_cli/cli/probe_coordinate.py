"""``winit probe --coordinate-check``: whether networks of several widths learn at the same pace."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from winit_cli.cli.counting import told
from winit_cli.cli.figures import Picture
from winit_cli.cli.terminal import Terminal
from winit_cli.errors import UsageError

if TYPE_CHECKING:
    from pandas import DataFrame

    from winit_cli.plan import Plan
    from winit_cli.probe.grid import Grid

WIDTHS = (64, 128, 256, 512)
# exponents of wide networks are multiples of 1/2 (Yang & Hu 2021, arXiv:2011.14522): what is nearer to 0 counts as 0
STABLE = 0.25


@dataclass(frozen=True)
class Checked:
    """The rows of ``coordinate.csv``, and the slope of each layer after the last step."""

    plan: Plan
    rows: DataFrame
    slopes: DataFrame

    def write(self, directory: Path) -> Path:
        """Beside the plan's run, if that is there; where it was written."""
        from winit_cli.store.files import write_csv

        columns = list(self.rows.columns)
        write_csv(directory / "coordinate.csv", columns, self.rows.itertuples(index=False, name=None))
        return directory

    def document(self) -> dict[str, Any]:
        """A verdict for each label, the slopes at all steps, and the rows of the file."""
        from winit_cli.claims.metrics import WIDTH_STEPS

        return {
            "steps": WIDTH_STEPS,
            "verdicts": [
                {"label": label, "stable": is_stable(slopes), "sentence": sentence(label, slopes)}
                for label, slopes in self._last()
            ],
            "slopes": self.slopes.to_dict("records"),
            "coordinate": self.rows.to_dict("records"),
        }

    def _last(self) -> Iterator[tuple[str, dict[str, float]]]:
        """The slopes after the last step, by layer, of each label."""
        last = self.slopes[self.slopes["step"] == self.slopes["step"].max()]
        for label in dict.fromkeys(last["label"]):
            mine = last[last["label"] == label]
            yield str(label), dict(zip(mine["layer"], mine["slope"], strict=True))

    def show(self, terminal: Terminal) -> None:
        """A sentence for each label, and how it was found."""
        for label, slopes in self._last():
            terminal.print(f"[bold]{escape(label)}[/bold]: {escape(sentence(label, slopes).partition(': ')[2])}")
        terminal.print(f"[dim]{escape(self._method())}[/dim]")

    def _method(self) -> str:
        from winit_cli.claims.metrics import WIDTH_STEPS
        from winit_cli.findings.numbers import counted

        train, count = self.plan.settings[0].train, self.rows["seed"].nunique()
        widths = ", ".join(str(width) for width in sorted(self.rows["width"].unique()))
        return (
            f"root mean square of the change of pre-activations in {WIDTH_STEPS} steps of {train.optimizer} at "
            f"learning rate {train.lr[0]:g}; widths {widths}; {counted(count, 'seed')} (Yang et al. 2022, "
            "arXiv:2203.03466)"
        )

    def pictures(self) -> Iterator[Picture]:
        """A panel for each label."""
        from winit_cli.plots import coordinate

        figure = coordinate.figure(self.rows)
        if figure is not None:
            alt = " ".join(sentence(label, slopes) for label, slopes in self._last())
            yield Picture("coordinate", "Coordinate check", alt, figure)


def is_stable(slopes: dict[str, float]) -> bool | None:
    """Whether no layer's change grows or shrinks with the width; None where no layer changes at all."""
    moving = [slope for slope in slopes.values() if not math.isnan(slope)]
    return all(abs(slope) < STABLE for slope in moving) if moving else None


def sentence(label: str, slopes: dict[str, float]) -> str:
    """What the slopes of a label say; layers that do not change have none."""
    moving = {layer: slope for layer, slope in slopes.items() if not math.isnan(slope)}
    still = len(slopes) - len(moving)
    rest = f"; {still} of {len(slopes)} layers do not change at all" if still else ""
    if not moving:
        return f"{label}: no layer changes; this network does not learn."
    if overflowing := [layer for layer, slope in moving.items() if math.isinf(slope)]:
        return f"{label}: not stable in width: {overflowing[0]} grows beyond all numbers; lower the learning rate."
    if is_stable(moving):
        layer = max(moving, key=lambda name: abs(moving[name]))
        return (
            f"{label}: stable in width: no change goes faster than that of {layer}, as {_power(moving[layer])}{rest}."
        )
    ends = sorted(moving, key=lambda name: moving[name])
    grows = [f"{ends[-1]} grows as {_power(moving[ends[-1]])}"] if moving[ends[-1]] >= STABLE else []
    shrinks = [f"{ends[0]} shrinks as {_power(moving[ends[0]])}"] if moving[ends[0]] <= -STABLE else []
    what = " and that of ".join(grows + shrinks)
    cure = "a learning rate found at one width does not fit another"
    return f"{label}: not stable in width: the change of {what}; {cure}{rest}."


def _power(slope: float) -> str:
    return f"width^{round(slope, 2) + 0.0:.2f}"


def check_coordinates(plan: Plan, grid: Grid, most_seeds: int | None, terminal: Terminal) -> Checked:
    """Train networks of all widths for a few steps.

    Raises:
        UsageError, ConfigError: the widths do not fit the model or its schemes; ForeignError.
    """
    from dataclasses import replace

    from pandas import DataFrame

    from winit_cli.probe.coordinate import COORDINATE_COLUMNS, check_spot
    from winit_cli.probe.fits import check_spots
    from winit_cli.probe.grid import check_grid, spots
    from winit_cli.stats import width_slopes

    grid = replace(grid, widths=grid.widths or WIDTHS)
    if len(grid.widths) < 2:
        raise UsageError("--coordinate-check compares widths; give at least two, e.g. --widths 64,128,256,512")
    check_grid(plan, grid)
    places = list(spots(plan, grid, most_seeds))
    check_spots(places)
    rows = [row for spot in told(places, terminal, "networks trained") for row in check_spot(spot)]
    frame = DataFrame(rows, columns=list(COORDINATE_COLUMNS))
    return Checked(plan, frame, width_slopes(frame))
