"""``winit probe --depths … --widths … --sigma-w …``: every label over a grid of networks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winit_cli.cli.counting import told
from winit_cli.cli.figures import Picture
from winit_cli.cli.scan_table import print_cells, ratio
from winit_cli.cli.terminal import Terminal
from winit_cli.errors import UsageError

if TYPE_CHECKING:
    from winit_cli.plan import Plan
    from winit_cli.probe.grid import Grid
    from winit_cli.probe.scan import Cell

LARGEST_SIGMA, DEEPEST, WIDEST = 1e3, 10_000, 100_000
CELL = ("label", "depth", "width", "sigma_w")


@dataclass(frozen=True)
class Scanned:
    """The cells of a grid."""

    plan: Plan
    grid: Grid
    cells: list[Cell]

    def write(self, directory: Path) -> Path:
        """Beside the plan's run, if that is there; where it was written."""
        from winit_cli.probe.scan import SCAN_COLUMNS
        from winit_cli.store.files import write_csv

        write_csv(directory / "scan.csv", SCAN_COLUMNS, self._rows())
        return directory

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        return (row for cell in self.cells for row in cell.rows())

    def document(self) -> dict[str, Any]:
        """Medians and verdict of each cell, and the rows of the file."""
        from winit_cli.probe.scan import SCAN_COLUMNS

        cells = [
            dict(zip(CELL, cell.place, strict=True))
            | {name: getattr(cell.verdict, name) for name in ("verdict", "layer", "metric", "value")}
            | {**{name: cell.median(name) for name in _names(cell)}, **cell.expected}
            for cell in self.cells
        ]
        return {"cells": cells, "scan": [dict(zip(SCAN_COLUMNS, row, strict=True)) for row in self._rows()]}

    def show(self, terminal: Terminal) -> None:
        """A table with the verdict and the ratio of gradients of each cell."""
        print_cells(terminal, self.cells)
        seeds = len(self.cells[0].seeds)
        over = f"medians over {seeds} seeds" if seeds > 1 else "one seed (--seeds 5 takes more)"
        drawn = f"weights N(0, sigma_w²/fan_in), biases N(0, {self.grid.sigma_b**2:g}); " if self.grid.sigma_w else ""
        number = (
            "gradient of the first step's state in proportion to the last's"
            if any("time_ratio" in _names(cell) for cell in self.cells)
            else "gradient dL/dz of layer 1 in proportion to the head's"
        )
        said = (
            f"{drawn}{number}; verdicts look at signal and units too: winit probe of one size names the number behind "
            f"one; {over}; nothing was trained"
        )
        terminal.print(f"[dim]{said}[/dim]")

    def pictures(self) -> Iterator[Picture]:
        """The phase diagram, or lines where only one axis was scanned."""
        from pandas import DataFrame

        from winit_cli.plots import phase, scan_lines
        from winit_cli.probe.scan import SCAN_COLUMNS

        frame, critical = DataFrame(self._rows(), columns=list(SCAN_COLUMNS)), self._critical()
        alt = "; ".join(map(_described, self.cells))
        for name, title, module in (("phase", "Phase diagram", phase), ("scan", "Scan", scan_lines)):
            figure = module.figure(frame, critical)
            if figure is not None:
                yield Picture(name, title, alt, figure)

    def _critical(self) -> float | None:
        """The sigma_w between order and chaos, where it was scanned and theory knows it."""
        from winit_cli.theory.activations import ACTIVATIONS
        from winit_cli.theory.critical import critical_sigma_w2

        activation = self.plan.config.base.model.options.get("activation")
        if not self.grid.sigma_w or activation not in ACTIVATIONS or not any(cell.expected for cell in self.cells):
            return None
        square = critical_sigma_w2(activation, self.grid.sigma_b**2)
        return None if square is None else math.sqrt(square)


def _names(cell: Cell) -> list[str]:
    """What was measured in a cell."""
    return list(next(iter(cell.seeds.values())))


def _described(cell: Cell) -> str:
    """``kaiming_normal, depth 10, width 64: healthy, gradient ratio 1.1``."""
    sizes = zip(CELL[1:], cell.place[1:], strict=True)
    place = ", ".join([cell.place[0], *(f"{name} {value:g}" for name, value in sizes if value is not None)])
    return f"{place}: {cell.verdict.verdict}, gradient ratio {ratio(cell):.2g}"


def parse_grid(depths: str | None, widths: str | None, sigma_w: str | None, sigma_b: float | None) -> Grid:
    """The grid that options ask for.

    Raises:
        UsageError: a value is out of range, or there are biases without weights.
    """
    from winit_cli.cli.ranges import counts, numbers
    from winit_cli.probe.grid import Grid

    if sigma_b is not None and sigma_w is None:
        raise UsageError("--sigma-b goes with --sigma-w, e.g. --sigma-w 1:4:0.1 --sigma-b 0.2")
    if sigma_b is not None and not 0 <= sigma_b <= LARGEST_SIGMA:
        raise UsageError(f"--sigma-b {sigma_b:g} is out of range, expected 0 to {LARGEST_SIGMA:g}")
    return Grid(
        counts(depths, "--depths", DEEPEST) if depths is not None else (),
        counts(widths, "--widths", WIDEST) if widths is not None else (),
        numbers(sigma_w, "--sigma-w", 0, LARGEST_SIGMA) if sigma_w is not None else (),
        sigma_b or 0.0,
    )


def measure_grid(plan: Plan, grid: Grid, most_seeds: int | None, terminal: Terminal) -> Scanned:
    """Measure all cells.

    Raises:
        UsageError, ConfigError: the grid does not fit the model or its schemes; ForeignError.
    """
    from winit_cli.probe.fits import check_spots
    from winit_cli.probe.grid import check_grid, spots
    from winit_cli.probe.scan import measure_spot

    check_grid(plan, grid)
    places = list(spots(plan, grid, most_seeds))
    check_spots(places)
    return Scanned(plan, grid, [measure_spot(spot) for spot in told(places, terminal, "networks measured")])
