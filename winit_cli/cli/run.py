"""``winit run`` and what it shares with ``winit compare``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from winit_cli.cli import completion
from winit_cli.cli.guard import guarded
from winit_cli.cli.options import (
    RESULTS,
    Device,
    Engine,
    FailFast,
    Fresh,
    Json,
    Loss,
    Memory,
    Model,
    NoColor,
    Plugin,
    Quiet,
    Results,
    Settings,
    StrictClaims,
    TakeOver,
    parse_memory,
)
from winit_cli.cli.several import FAILED, Done, load_all, run_all
from winit_cli.cli.terminal import Terminal, prints_aside

if TYPE_CHECKING:
    from winit_cli.config import Config
    from winit_cli.runner import How


FAILURES_SHOWN = 5
UNSUPPORTED = 3  # exit code


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
    device: Device = "auto",
    engine: Engine = None,
    memory: Memory = None,
    fresh: Fresh = False,
    fail_fast: FailFast = False,
    take_over: TakeOver = False,
    strict_claims: StrictClaims = False,
    json: Json = False,
    quiet: Quiet = False,
    no_color: NoColor = False,
) -> None:
    """Run experiments: train what is missing, show the result. The same command resumes or shows again."""
    from winit_cli.cli.sources import Changes
    from winit_cli.plugins import plugged
    from winit_cli.runner import How

    terminal = Terminal(json, quiet, no_color)
    how = How(fresh, fail_fast, take_over, parse_memory(memory))
    with plugged(plugin, model, loss):
        loaded = load_all(configs, Changes(settings, engine, model, loss), device)

        def run_one(text: str, config: Config) -> Done:
            check = shlex.join(["winit", "check", text, *_options(settings)])
            return execute(config, terminal, results, device, how, strict_claims=strict_claims, checked_by=check)

        document, code = run_all(configs, loaded, terminal, run_one)
    terminal.document(document)
    raise SystemExit(code)


def execute(
    config: Config,
    terminal: Terminal,
    results: Path,
    device: str,
    how: How,
    *,
    strict_claims: bool,
    checked_by: str | None = None,
) -> Done:
    """Run one config and show its ranked table; return the JSON document and the exit code.

    ``checked_by`` is the command that tells what is only counted here.
    """
    from winit_cli.cli import standing
    from winit_cli.cli.progress import reporting
    from winit_cli.cli.sources import spoken_notes
    from winit_cli.environment import resolve_device
    from winit_cli.findings import Findings, reach
    from winit_cli.findings.document import document
    from winit_cli.findings.numbers import counted
    from winit_cli.findings.tables import steps_of
    from winit_cli.lint.check import check_plan
    from winit_cli.plan import make_plan
    from winit_cli.resolved import resolved_config
    from winit_cli.runner import run_plan
    from winit_cli.store.frames import read_run

    with prints_aside():
        plan = make_plan(config, resolve_device(device), download=True)
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
    for failure in result.failures[:FAILURES_SHOWN]:
        terminal.warn(failure)
    if result.failures:
        terminal.warn(f"{counted(len(result.failures), 'trial')} failed; the same command tries them again")
    if result.was_complete:
        terminal.note("complete already; nothing to train (--fresh trains it again)")
    found = Findings(read_run(result.directory, steps_of(plan.config.claims)))
    if not terminal.json:
        standing.show(terminal, found)
        hint = escape(f"(plots and tables: {_report_command(results, result.directory.name)})")
        terminal.path(result.directory, before="\n", after=f"  [dim]{hint}[/dim]")
    unsupported = found.unsupported if strict_claims else []
    for claim in unsupported:
        terminal.warn(f"not supported: {claim}")
    return document(found), FAILED if result.failures else UNSUPPORTED if unsupported else 0


def _options(settings: list[str]) -> list[str]:
    return [part for setting in settings for part in ("-s", setting)]


def _report_command(results: Path, name: str) -> str:
    """The command that reports on a run, from where this one was started."""
    where = "" if results == RESULTS else f" --results {shlex.quote(str(results))}"
    return f"winit report {name}{where}"
