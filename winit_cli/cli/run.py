"""``winit run`` and what it shares with ``winit compare``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winit_cli.cli import completion
from winit_cli.cli.guard import guarded
from winit_cli.cli.options import (
    RESULTS,
    Devices,
    Engine,
    FailFast,
    Fresh,
    Gpus,
    Json,
    Loss,
    Memory,
    Model,
    NoColor,
    On,
    Plugin,
    Quiet,
    Results,
    Settings,
    ShardOf,
    StrictClaims,
    TakeOver,
    parse_memory,
)
from winit_cli.cli.several import Done, load_all, run_all
from winit_cli.cli.shown import show, show_shard
from winit_cli.cli.terminal import Terminal, prints_aside
from winit_cli.errors import UsageError

if TYPE_CHECKING:
    from winit_cli.config import Config
    from winit_cli.runner import How


@guarded
def run(
    configs: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG…",
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
    fresh: Fresh = False,
    fail_fast: FailFast = False,
    take_over: TakeOver = False,
    shard: ShardOf = None,
    on: On = None,
    gpus: Gpus = 1.0,
    strict_claims: StrictClaims = False,
    json: Json = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Run experiments: train what is missing, show the result. The same command resumes or shows again."""
    from winit_cli.cli.sources import Changes
    from winit_cli.cluster.join import check_cluster
    from winit_cli.environment import resolve_devices
    from winit_cli.packing import Code
    from winit_cli.plugins import plugged
    from winit_cli.runner import How
    from winit_cli.shards import parse_shard

    terminal = Terminal(json, quiet, no_color)
    share = None if shard is None else parse_shard(shard)
    if share and strict_claims:
        raise UsageError("--strict-claims: a shard decides no claims; give it to winit merge, which has all trials")
    if on is not None:
        check_cluster(on, device, gpus)
    devices, own = resolve_devices(device, elsewhere=on is not None), Code(tuple(plugin), model, loss)
    how = How(fresh, fail_fast, take_over, parse_memory(memory), share, devices, on, gpus, own)
    with plugged(plugin, model, loss):
        loaded = load_all(configs, Changes(settings, engine, model, loss), devices[0])

        def run_one(text: str, config: Config) -> Done:
            check = shlex.join(["winit", "check", text, *_options(settings)])
            return execute(config, terminal, results, how, strict_claims=strict_claims, checked_by=check)

        document, code = run_all(configs, loaded, terminal, run_one)
    terminal.document(document)
    raise SystemExit(code)


def execute(
    config: Config,
    terminal: Terminal,
    results: Path,
    how: How,
    *,
    strict_claims: bool,
    checked_by: str | None = None,
) -> Done:
    """Run one config on the devices of ``how`` and show its ranked table; return the JSON document and the exit code.

    ``checked_by`` is the command that tells what is only counted here.
    """
    from winit_cli.cli.progress import reporting
    from winit_cli.cli.sources import spoken_notes
    from winit_cli.findings import reach
    from winit_cli.findings.numbers import counted
    from winit_cli.lint.check import check_plan
    from winit_cli.plan import make_plan
    from winit_cli.resolved import resolved_config
    from winit_cli.runner import run_plan

    with prints_aside():
        plan = make_plan(config, how.devices[0], download=True)
        checked = check_plan(plan) if checked_by else None
    for note in [*spoken_notes(config), *dict.fromkeys(n for s in plan.settings for n in s.notes)]:
        terminal.note(note)
    terminal.note(str(reach(resolved_config(plan))))
    for failure in checked.failed if checked else ():
        terminal.warn(failure)
    if checked and checked.warnings:
        terminal.note(f"{counted(len(checked.warnings), 'warning')} from: {checked_by}")
    with reporting(terminal) as reporter, prints_aside():
        result = run_plan(plan, results, reporter, how)
    if result.was_complete:
        terminal.note("complete already; nothing to train (--fresh trains it again)")
    if how.shard:
        return show_shard(terminal, results, result, how.shard)
    return show(terminal, results, result.directory, result.failures, strict_claims=strict_claims)


def _options(settings: list[str]) -> list[str]:
    return [part for setting in settings for part in ("-s", setting)]
