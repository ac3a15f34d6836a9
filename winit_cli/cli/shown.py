"""What a run or a shard came to, shown as its command ends."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from winit_cli.cli.options import RESULTS
from winit_cli.cli.several import FAILED, Done
from winit_cli.cli.terminal import Terminal

if TYPE_CHECKING:
    from winit_cli.runner import Result
    from winit_cli.shards import Shard

FAILURES_SHOWN = 5
UNSUPPORTED = 3  # exit code


def show_shard(terminal: Terminal, results: Path, result: Result, shard: Shard) -> Done:
    """Show where a shard is: what it found means something only beside the others."""
    _warn_of(terminal, result.failures)
    if not terminal.json:
        hint = escape(f"(shard {shard}; once all are done: winit merge{_where(results)})")
        terminal.path(result.directory, after=f"  [dim]{hint}[/dim]")
    document: dict[str, object] = {"run": str(result.directory), "shard": str(shard), "trials": result.counts}
    return document, FAILED if result.failures else 0


def show(terminal: Terminal, results: Path, directory: Path, failures: list[str], *, strict_claims: bool) -> Done:
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


def _report_command(results: Path, name: str) -> str:
    """The command that reports on a run, from where this one was started."""
    return f"winit report {name}{_where(results)}"


def _where(results: Path) -> str:
    return "" if results == RESULTS else f" --results {shlex.quote(str(results))}"
