"""``winit check``: the dry run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from winit_cli.cli import completion
from winit_cli.cli.guard import guarded
from winit_cli.cli.options import (
    RESULTS,
    Devices,
    Engine,
    Json,
    Loss,
    Memory,
    Model,
    NoColor,
    Plugin,
    Results,
    Settings,
    parse_memory,
)
from winit_cli.cli.terminal import Terminal, prints_aside
from winit_cli.sizes import size_text

FAILED, WARNED = 1, 2  # exit codes: of a rule that raised an error, of warnings with --strict


@guarded
def check(
    config: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG",
            help="A YAML file, or the name of a packaged one.",
            autocompletion=completion.configs,
        ),
    ],
    settings: Settings = [],  # noqa: B006
    model: Model = None,
    loss: Loss = None,
    plugin: Plugin = [],  # noqa: B006
    results: Results = RESULTS,
    device: Devices = "auto",
    engine: Engine = None,
    memory: Memory = None,
    parameters: Annotated[
        bool, typer.Option("--parameters", help="Also print which scheme fills which parameter, label by label.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 2 when there are warnings.")] = False,
    json: Json = False,
    no_color: NoColor = False,
) -> None:
    """Validate a config, say how large the job is, and find what is valid but probably not meant: each finding with
    line, reason and cure (winit list lints). The config's ignore: sets aside what is meant. Trains and writes nothing.
    """
    from winit_cli.cli import assigned, findings
    from winit_cli.cli.job import division_of, missing_trials, size_of
    from winit_cli.cli.sources import Changes, load, spoken_notes
    from winit_cli.environment import resolve_devices
    from winit_cli.findings import reach
    from winit_cli.findings.document import reachable
    from winit_cli.lint.check import check_plan
    from winit_cli.plan import make_plan
    from winit_cli.plugins import plugged
    from winit_cli.resolved import resolved_config

    terminal, asked_for = Terminal(json, no_color=no_color), parse_memory(memory)
    with plugged(plugin, model, loss), prints_aside():
        loaded = load(config, Changes(settings, engine, model, loss))
        devices = resolve_devices(device)
        plan = make_plan(loaded, devices[0])
        missing = missing_trials(plan, results)
        divided, said = division_of(plan, missing, results, asked_for, len(devices))
        facts = size_of(plan, missing, divided) | {"verdicts": reachable(reach(resolved_config(plan)))}
        checked, rows = check_plan(plan), assigned.assigned(plan) if parameters else []
        notes = [*spoken_notes(loaded), *dict.fromkeys(n for s in plan.settings for n in s.notes), *said]
    for note in notes:
        terminal.note(note)
    terminal.document(facts | checked.document() | ({"parameters_by_label": rows} if parameters else {}))
    if not json:
        for line in _lines(facts):
            terminal.print(line)
        assigned.show(terminal, rows)
        findings.show(terminal, checked)
    for failure in checked.failed:
        terminal.warn(failure)
    if checked.failed:
        raise SystemExit(FAILED)
    if strict and checked.warnings:
        raise SystemExit(WARNED)


def _lines(facts: dict[str, Any]) -> list[str]:
    parameters = ", ".join(f"{count:,}" for count in facts["parameters"])
    return [
        "the config is valid",
        f"run        {facts['run']}",
        f"trials     {facts['trials']:,} of {facts['labels']} labels; trained already: {facts['already_trained']:,}",
        f"updates    {facts['updates']:,} in all",
        f"parameters {parameters} per model",
        f"stacks     {_stacks(facts)}",
        f"memory     about {size_text(facts['memory_bytes'])} beside what Python and torch take; "
        f"stacks may take {size_text(facts['memory_budget_bytes'])}",
        f"disk       about {size_text(facts['disk_bytes'])}",
        f"verdicts   {facts['verdicts']['statement']}",
    ]


def _stacks(facts: dict[str, Any]) -> str:
    """``4 of up to 15 trials, 2 at a time (engine: stacked)``."""
    largest = facts["largest_stack"]
    trials = "1 trial" if largest == 1 else f"up to {largest} trials"
    how = f"{facts['stacks']:,} of {trials}, {facts['stacks_at_once']} at a time" if largest else "none left to train"
    return f"{how} (engine: {facts['engine']})"
