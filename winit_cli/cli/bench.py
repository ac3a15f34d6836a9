"""``winit bench``."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from winit_cli.cli.guard import guarded
from winit_cli.cli.options import Device, Json, NoColor, Quiet
from winit_cli.cli.terminal import Terminal
from winit_cli.errors import StorageError, Terminated, UsageError, brief

MOST_TRIALS, MOST_REPEATS = 4096, 1000
NOTHING_KEPT = "no case was measured, and the same command begins anew"


@guarded
def bench(
    device: Device = "auto",
    trials: Annotated[str, typer.Option("--trials", metavar="N,…", help="Numbers of trials at once.")] = "1,8,30,64",
    cases: Annotated[str | None, typer.Option("--cases", metavar="A,…", help="Networks to time; default: all.")] = None,
    repeats: Annotated[
        int | None, typer.Option("--repeats", help="Times of each; default: 3, less where once takes long.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Directory for DEVICE.json and DEVICE.png, a plot of the costs.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Measure what a trial-step costs on this machine, beside plain PyTorch loops. Takes some minutes."""
    from winit_cli.bench.cases import cases_named
    from winit_cli.bench.measure import bench as measure
    from winit_cli.cli import speeds
    from winit_cli.environment import resolve_device

    terminal = Terminal(json, quiet, no_color)
    wanted, counts, repeats = cases_named(cases), numbers_of(trials), _checked(repeats)
    device = resolve_device(device)
    if output is not None:
        _try_out(output)
    found: dict[str, Any] | None = None
    code = 0
    try:
        for by_now in measure(wanted, counts, device, repeats, terminal.note):
            found = by_now
    except KeyboardInterrupt:
        code = _ended(terminal, "interrupted", 130, found)
    except Terminated as error:
        code = _ended(terminal, "terminated", int(error.code or 0), found)
    if found is not None:
        speeds.show(terminal, found)
        terminal.document(found)
        if output is not None:
            _write(found, output, terminal)
    if code:
        raise SystemExit(code)


def _ended(terminal: Terminal, how: str, code: int, found: dict[str, Any] | None) -> int:
    """Say what an interrupted bench keeps."""
    kept = f"only {', '.join(sheet['case'] for sheet in found['cases'])} measured" if found else NOTHING_KEPT
    terminal.warn(f"winit: {how}; {kept}")
    return code


def numbers_of(text: str) -> list[int]:
    """The numbers of trials of a comma-separated list, each once, in order.

    Raises:
        UsageError: something else is in the list.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part[:10]) <= MOST_TRIALS for part in parts):
        raise UsageError(f"--trials {brief(text)}: expected numbers from 1 to {MOST_TRIALS}, e.g. --trials 1,8,30")
    return sorted({int(part) for part in parts})


def _checked(repeats: int | None) -> int | None:
    if repeats is not None and not 1 <= repeats <= MOST_REPEATS:
        raise UsageError(f"--repeats {repeats}: expected a number from 1 to {MOST_REPEATS}")
    return repeats


def _try_out(output: Path) -> None:
    """Find out before minutes of measuring whether a file can be written."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise StorageError(f"cannot write to {output}: {error.strerror}; choose another with --output") from None


def _write(found: dict[str, Any], output: Path, terminal: Terminal) -> None:
    import pandas as pd

    from winit_cli.jsonable import jsonable
    from winit_cli.plots.files import encode
    from winit_cli.plots.trial_cost import figure
    from winit_cli.store.files import write_bytes, write_json

    env = found["environment"]
    name = env["device"].partition(":")[0]
    drawn = figure(pd.DataFrame(found["rows"]), f"{env['gpu'] or env['cpu']}, {env['threads']} threads")
    write_json(output / f"{name}.json", jsonable(found))
    write_bytes(output / f"{name}.png", encode(drawn, "png"))
    for kind in ("json", "png"):
        terminal.path(output / f"{name}.{kind}", before="wrote ")
