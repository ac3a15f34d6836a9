"""``winit probe``: what a network is like before any training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from winit_cli.cli.guard import guarded
from winit_cli.cli.options import RESULTS, Device, Json, Loss, NoColor, Plugin, Quiet, Results, Settings
from winit_cli.cli.terminal import Terminal, prints_aside
from winit_cli.errors import UsageError

if TYPE_CHECKING:
    from winit_cli.config import Config
    from winit_cli.plan import Plan
    from winit_cli.probe.trials import Probed

DEFAULTS = {"model": "mlp", "data": "mnist", "train.lr": "0.05", "seeds": "10"}  # as for winit compare


@guarded
def probe(
    config: Annotated[
        str | None, typer.Argument(metavar="[CONFIG]", help="A YAML file, or the name of a packaged one.")
    ] = None,
    schemes: Annotated[
        str | None,
        typer.Option("--schemes", metavar="A,B,…", help="Without a CONFIG: schemes, as winit compare takes them."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="A model (winit list models), or code of yours as FILE.py:NAME.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Without a CONFIG: a data set, or arrays of yours as FILE.npz.")
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", help="How many seeds, or a list like 3,5,8; default: the first 5 of the config's."),
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
    """Measure signal and gradient at initialization, layer by layer, and give a verdict per label; trains nothing."""
    from winit_cli.cli.sources import spoken_notes
    from winit_cli.environment import resolve_device
    from winit_cli.plan import make_plan
    from winit_cli.plugins import plugged
    from winit_cli.probe.trials import SEEDS, probe_plan

    terminal = Terminal(json, quiet, no_color)
    with plugged(plugin, model, loss), prints_aside():
        given = {"schemes": schemes, "model": model, "data": data, "seeds": seeds}
        loaded = _config(config, given, settings, loss)
        plan = make_plan(loaded, resolve_device(device), download=True)
        for note in [*spoken_notes(loaded), *dict.fromkeys(n for s in plan.settings for n in s.dataset.notes)]:
            terminal.note(note)
        probed = probe_plan(plan, SEEDS if seeds is None else None)
    directory = results / plan.name
    _write(directory, probed)
    terminal.document(_document(directory, probed))
    if not json:
        _show(terminal, plan, probed)
        terminal.path(directory, before="\n")


def _config(config: str | None, given: dict[str, str | None], settings: list[str], loss: str | None) -> Config:
    """The config of a file, or what the options amount to, as for ``winit compare``.

    Raises:
        UsageError: neither or both are given.
    """
    from winit_cli.cli.compare import document
    from winit_cli.cli.sources import Changes, load, resolve

    schemes, seeds = given["schemes"], given["seeds"]
    if config is None:
        if schemes is None:
            raise UsageError("give a CONFIG, or schemes: winit probe mnist, or winit probe --schemes kaiming,zeros")
        options = {key: text for key, text in given.items() if key != "schemes" and text is not None}
        return resolve(document(schemes, DEFAULTS | options), Changes(settings, loss=loss))
    for name in ("schemes", "data"):
        if given[name] is not None:
            raise UsageError(f"--{name} is for a probe without a CONFIG; change that of {config} with -s {name}=…")
    chosen = [] if seeds is None else [f"seeds=[{seeds}]" if "," in seeds else f"seeds={seeds}"]
    return load(config, Changes([*chosen, *settings], model=given["model"], loss=loss))


def _write(directory: Path, probed: Probed) -> None:
    """Beside a run of the same plan, if there is one: these files are no part of it."""
    from winit_cli.probe.trials import COLUMNS, VERDICT_COLUMNS
    from winit_cli.store.files import write_csv

    write_csv(directory / "probe.csv", COLUMNS, probed.rows())
    write_csv(directory / "verdicts.csv", VERDICT_COLUMNS, probed.verdict_rows())


def _document(directory: Path, probed: Probed) -> dict[str, Any]:
    from winit_cli.probe.trials import COLUMNS, EXAMPLES, VERDICT_COLUMNS

    return {
        "run": str(directory),
        "seeds": probed.seeds,
        "examples": EXAMPLES,
        "verdicts": [dict(zip(VERDICT_COLUMNS, row, strict=True)) for row in probed.verdict_rows()],
        "probe": [dict(zip(COLUMNS, row, strict=True)) for row in probed.rows()],
    }


def _show(terminal: Terminal, plan: Plan, probed: Probed) -> None:
    """The table of verdicts, then one sentence of advice for each label that is ill, or for all where none is."""
    verdicts = probed.verdicts
    console = terminal.out
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    for name in ("label", "verdict", "first bad layer", "number"):
        table.add_column(name, overflow="fold", no_wrap=name == "verdict")
    for label, found in verdicts.items():
        number = f"{found.metric} {found.value:.3g}" if found.value is not None else "-"
        table.add_row(escape(label), found.verdict, escape(found.layer or "-"), number)
    terminal.print(table)
    terminal.print()
    ill = {label: found for label, found in verdicts.items() if found.layer} or dict(list(verdicts.items())[:1])
    for label, found in ill.items():
        terminal.print(f"[bold]{escape(label if found.layer else 'healthy')}[/bold]: {escape(found.advice)}")
    terminal.print(f"[dim]{escape(_method(plan, probed))}[/dim]")


def _method(plan: Plan, probed: Probed) -> str:
    from winit_cli.probe.trials import EXAMPLES

    there = len({seed for trial in plan.trials for seed in trial.setting.experiment.general.seeds})
    count = len(probed.seeds)
    seeds = f"{count} of {there} seeds (--seeds {there} probes all)" if count < there else f"{count} seeds"
    return f"medians over {seeds}, each with up to {EXAMPLES} examples of its first batches; nothing was trained"
