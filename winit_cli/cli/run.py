"""``winit run`` and what it shares with ``winit compare``."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

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
from winit_cli.cli.terminal import Terminal, prints_aside
from winit_cli.errors import UsageError

if TYPE_CHECKING:
    from winit_cli.config import Config
    from winit_cli.runner import How, Result
    from winit_cli.shards import Shard


FAILURES_SHOWN = 5
FAILED, UNSUPPORTED = 1, 3  # exit codes


@guarded
def run(
    configs: Annotated[
        list[str], typer.Argument(metavar="CONFIG…", help="A YAML file, or the name of a packaged one.")
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
    from winit_cli.cli.sources import Changes, load
    from winit_cli.cluster.join import check_cluster
    from winit_cli.packing import Code
    from winit_cli.plugins import plugged
    from winit_cli.runner import How
    from winit_cli.shards import parse_shard

    terminal = Terminal(json, quiet, no_color)
    share = None if shard is None else parse_shard(shard)
    if share and strict_claims:
        raise UsageError("--strict-claims: a shard decides no claims; give it to winit merge, which has all trials")
    code = Code(tuple(plugin), model, loss)
    how = How(fresh, fail_fast, take_over, parse_memory(memory), share, on=on, gpus=gpus, code=code)
    if on is not None:
        check_cluster(on, device, gpus)
    with plugged(plugin, model, loss):
        loaded = [load(text, Changes(settings, engine, model, loss)) for text in configs]
        checks = [shlex.join(["winit", "check", text, *_options(settings)]) for text in configs]
        done = [
            execute(config, terminal, results, device, how, strict_claims=strict_claims, checked_by=check)
            for config, check in zip(loaded, checks, strict=True)
        ]
    terminal.document(done[0][0] if len(done) == 1 else [document for document, _ in done])
    codes = {code for _, code in done}
    raise SystemExit(FAILED if FAILED in codes else max(codes))


def execute(
    config: Config,
    terminal: Terminal,
    results: Path,
    device: str,
    how: How,
    *,
    strict_claims: bool,
    checked_by: str | None = None,
) -> tuple[dict[str, object], int]:
    """Run one config and show its ranked table; return the JSON document and the exit code.

    ``checked_by`` is the command that tells what is only counted here.
    """
    from winit_cli.cli.progress import reporting
    from winit_cli.cli.sources import spoken_notes
    from winit_cli.environment import resolve_devices
    from winit_cli.findings import reach
    from winit_cli.findings.numbers import counted
    from winit_cli.lint.check import check_plan
    from winit_cli.plan import make_plan
    from winit_cli.resolved import resolved_config
    from winit_cli.runner import run_plan

    with prints_aside():
        devices = (device,) if how.on and device == "cuda" else resolve_devices(device)  # it need not be here
        plan = make_plan(config, devices[0], download=True)
        checked = check_plan(plan) if checked_by else None
    for note in [*spoken_notes(config), *dict.fromkeys(n for s in plan.settings for n in s.notes)]:
        terminal.note(note)
    terminal.note(str(reach(resolved_config(plan))))
    for failure in checked.failed if checked else ():
        terminal.warn(failure)
    if checked and checked.warnings:
        terminal.note(f"{counted(len(checked.warnings), 'warning')} from: {checked_by}")
    with reporting(terminal) as reporter, prints_aside():
        result = run_plan(plan, results, reporter, replace(how, devices=devices))
    if result.was_complete:
        terminal.note("complete already; nothing to train (--fresh trains it again)")
    if how.shard:
        return _show_shard(terminal, results, result, how.shard)
    return show(terminal, results, result.directory, result.failures, strict_claims=strict_claims)


def _show_shard(terminal: Terminal, results: Path, result: Result, shard: Shard) -> tuple[dict[str, object], int]:
    """Show where a shard is: what it found means something only beside the others."""
    _warn_of(terminal, result.failures)
    if not terminal.json:
        hint = escape(f"(shard {shard}; once all are done: winit merge{_where(results)})")
        terminal.path(result.directory, after=f"  [dim]{hint}[/dim]")
    document: dict[str, object] = {"run": str(result.directory), "shard": str(shard), "trials": result.counts}
    return document, FAILED if result.failures else 0


def show(
    terminal: Terminal, results: Path, directory: Path, failures: list[str], *, strict_claims: bool
) -> tuple[dict[str, object], int]:
    """Show what a run found; return the JSON document and the exit code."""
    from winit_cli.claims.check import stored_claims
    from winit_cli.cli import standing
    from winit_cli.findings import Findings
    from winit_cli.findings.document import document
    from winit_cli.findings.tables import steps_of
    from winit_cli.store.frames import read_run
    from winit_cli.store.runs import run_facts

    _warn_of(terminal, failures)
    facts = run_facts(directory)
    found = Findings(read_run(directory, steps_of(stored_claims(facts["config"], facts["labels"]))))
    if not terminal.json:
        standing.show(terminal, found)
        hint = escape(f"(plots and tables: {_report_command(results, directory.name)})")
        terminal.path(directory, before="\n", after=f"  [dim]{hint}[/dim]")
    unsupported = found.unsupported if strict_claims else []
    for claim in unsupported:
        terminal.warn(f"not supported: {claim}")
    return document(found), FAILED if failures else UNSUPPORTED if unsupported else 0


def _warn_of(terminal: Terminal, failures: list[str]) -> None:
    from winit_cli.findings.numbers import counted

    for failure in failures[:FAILURES_SHOWN]:
        terminal.warn(failure)
    if failures:
        terminal.warn(f"{counted(len(failures), 'trial')} failed; the same command tries them again")


def _options(settings: list[str]) -> list[str]:
    return [part for setting in settings for part in ("-s", setting)]


def _report_command(results: Path, name: str) -> str:
    """The command that reports on a run, from where this one was started."""
    return f"winit report {name}{_where(results)}"


def _where(results: Path) -> str:
    return "" if results == RESULTS else f" --results {shlex.quote(str(results))}"
