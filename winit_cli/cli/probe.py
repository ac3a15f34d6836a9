"""``winit probe``: what a network is like before any training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from winit_cli.cli import completion
from winit_cli.cli.guard import guarded
from winit_cli.cli.options import RESULTS, Device, Json, Loss, NoColor, Plugin, Quiet, Results, Settings
from winit_cli.cli.terminal import Terminal, prints_aside
from winit_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from winit_cli.cli.figures import Picture
    from winit_cli.plan import Plan
    from winit_cli.probe.grid import Grid


class Found(Protocol):
    """What was measured: written (where, it says), printed, drawn, or one document."""

    def write(self, directory: Path) -> Path: ...
    def show(self, terminal: Terminal) -> None: ...
    def pictures(self) -> Iterator[Picture]: ...
    def document(self) -> dict[str, Any]: ...


@guarded
def probe(
    config: Annotated[
        str | None,
        typer.Argument(
            metavar="[CONFIG]",
            help="A YAML file, or the name of a packaged one.",
            autocompletion=completion.configs,
        ),
    ] = None,
    schemes: Annotated[
        str | None,
        typer.Option(
            "--schemes",
            metavar="A,B,…",
            help="Without a CONFIG: schemes, as winit compare takes them.",
            autocompletion=completion.schemes,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="A model (winit list models), or code of yours as FILE.py:NAME.",
            autocompletion=completion.models,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="Without a CONFIG: a data set, or arrays of yours as FILE.npz.",
            autocompletion=completion.data,
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds", help="How many, or a list like 3,5,8; default: the config's first 5, in scans its first."
        ),
    ] = None,
    layers: Annotated[
        str | None, typer.Option("--layers", metavar="LABEL", help="Print this label layer by layer.")
    ] = None,
    depths: Annotated[
        str | None, typer.Option("--depths", metavar="2,5,…", help="Scan the number of hidden layers.")
    ] = None,
    widths: Annotated[str | None, typer.Option("--widths", metavar="16,64,…", help="Scan the width of layers.")] = None,
    sigma_w: Annotated[
        str | None,
        typer.Option(
            "--sigma-w",
            metavar="1:4:0.1",
            help="Scan weights N(0, sigma_w²/fan_in) instead of schemes: start:stop:step.",
        ),
    ] = None,
    sigma_b: Annotated[
        float | None, typer.Option("--sigma-b", help="With --sigma-w: biases N(0, sigma_b²); default: 0.")
    ] = None,
    coordinate_check: Annotated[
        bool, typer.Option("--coordinate-check", help="Train 5 steps at several widths: do they learn at one pace?")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="DIR", help="Draw figures of it all into a directory.")
    ] = None,
    settings: Settings = [],  # noqa: B006
    loss: Loss = None,
    plugin: Plugin = [],  # noqa: B006
    results: Results = RESULTS,
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Measure signal and gradient at initialization, layer by layer, and give a verdict per label; trains nothing.

    Scans give a verdict for every network of a grid of depths, widths and scales of the weights.
    """
    from winit_cli.cli.figures import save_all
    from winit_cli.cli.probe_config import config_of
    from winit_cli.cli.probe_scan import parse_grid
    from winit_cli.cli.sources import spoken_notes
    from winit_cli.environment import resolve_device
    from winit_cli.plan import make_plan
    from winit_cli.plugins import plugged
    from winit_cli.store.files import check_writable

    terminal = Terminal(json, quiet, no_color)
    grid = parse_grid(depths, widths, sigma_w, sigma_b)
    _check(grid, layers, coordinate_check)
    with plugged(plugin, model, loss), prints_aside():
        given = {"schemes": schemes, "model": model, "data": data, "seeds": seeds}
        loaded = config_of(config, given, settings, loss, own_weights=bool(grid.sigma_w))
        plan = make_plan(loaded, resolve_device(device), download=True)
        for note in [*spoken_notes(loaded), *dict.fromkeys(n for s in plan.settings for n in s.dataset.notes)]:
            terminal.note(note)
        for directory in (results / plan.name, *([] if plot is None else [plot])):
            check_writable(directory)
        found = _measured(plan, grid, layers, coordinate_check, seeds is not None, terminal)
        directory = found.write(results / plan.name)
        figures = [] if plot is None else save_all(found.pictures(), plot, terminal)
    if not json:
        found.show(terminal)
        terminal.path(directory, before="\n")
    for path in figures:
        terminal.path(path)
    terminal.document({"run": str(directory), **found.document(), "figures": [str(path) for path in figures]})


def _check(grid: Grid, layers: str | None, coordinate_check: bool) -> None:
    """Refuse options that do not go together."""
    is_scan = bool(grid.depths or grid.widths or grid.sigma_w)
    if coordinate_check and (grid.depths or grid.sigma_w):
        raise UsageError("--coordinate-check scans widths alone; leave out --depths and --sigma-w")
    if layers is not None and (is_scan or coordinate_check):
        raise UsageError("--layers prints one network layer by layer; leave it out of a scan")


def _measured(
    plan: Plan, grid: Grid, layers: str | None, coordinate_check: bool, all_seeds: bool, terminal: Terminal
) -> Found:
    """What the options ask for."""
    from winit_cli.cli.probe_coordinate import check_coordinates
    from winit_cli.cli.probe_layers import measure_layers
    from winit_cli.cli.probe_scan import measure_grid

    if coordinate_check:
        return check_coordinates(plan, grid, None if all_seeds else 1, terminal)
    if grid.depths or grid.widths or grid.sigma_w:
        return measure_grid(plan, grid, None if all_seeds else 1, terminal)
    return measure_layers(plan, len(plan.config.base.general.seeds) if all_seeds else None, layers)
