"""What a run found, on the terminal: the answer, the ranked table, the claims, and what to know of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.markup import escape

from winit_cli.cli.columns import (
    AT_START,
    CLAIMS_GIVEN_UP,
    RATIO,
    SURVIVORS,
    claims_of,
    columns_of,
    given_up,
    is_over_survivors,
)
from winit_cli.cli.fitted import Column, fitted, table
from winit_cli.cli.terminal import Terminal

if TYPE_CHECKING:
    from winit_cli.findings import Findings


def show(terminal: Terminal, found: Findings) -> None:
    """Print the answer of a run with its tables."""
    for text in found.notices:
        terminal.print(f"[yellow]note:[/yellow] {escape(text)}")
    for text in found.sentences:
        terminal.print(escape(text))
    names = _show_standings(terminal, found)
    if not found.claims.empty:
        _show_claims(terminal, found)
    terminal.print()
    for line in _explanations(found, names):
        terminal.print(f"[dim]{escape(line)}[/dim]")


def _show_standings(terminal: Terminal, found: Findings) -> list[str]:
    """Print the ranked table; the names of its columns."""
    from winit_cli.findings.numbers import records

    rows, console = records(found.standings), terminal.out
    variants = [row["variant"] for row in rows]
    apart = console.is_terminal and len(set(variants)) > 1
    ascii_only = console.options.ascii_only
    columns = columns_of(found, rows, whole=not apart, ascii_only=ascii_only)
    kept = fitted(columns, given_up(found.task), console.width)
    breaks = [at for at in range(len(rows)) if at == 0 or variants[at] != variants[at - 1]] if apart else []
    terminal.print()
    terminal.print(table([_headed(column, breaks, variants) for column in kept], console, breaks=_moved(breaks)))
    return [column.name for column in kept]


def _headed(column: Column, breaks: list[int], variants: list[str]) -> Column:
    """The column with a row above each variant that names it."""
    cells = list(column.cells)
    for at in reversed(breaks):
        cells.insert(at, f"at {variants[at]}" if column.name == "label" else "")
    return Column(column.name, cells, column.justify, column.folds, styles=column.styles)


def _moved(breaks: list[int]) -> list[int]:
    """Where the rows of ``breaks`` stand once each has a row above it."""
    return [at + index for index, at in enumerate(breaks) if at]


def _show_claims(terminal: Terminal, found: Findings) -> None:
    from winit_cli.findings.numbers import records

    terminal.print()
    kept = fitted(claims_of(records(found.claims)), CLAIMS_GIVEN_UP, terminal.out.width)
    terminal.print(table(kept, terminal.out))


def _explanations(found: Findings, names: list[str]) -> Iterator[str]:
    """What the columns mean that are there."""
    from winit_cli.findings.foretold import said
    from winit_cli.findings.method import OPEN_PLACES
    from winit_cli.findings.numbers import records
    from winit_cli.findings.why import unexplained

    rows = records(found.standings)
    if "verdict" in names:
        yield f"verdict: {found.reach}"
    yield "±: half of the 95 % interval over seeds"
    if any(row["rank_low"] != row["rank_high"] for row in rows):
        yield f"(1-3): {OPEN_PLACES}"
    if any(is_over_survivors(row) for row in rows):
        yield f"{SURVIVORS}: mean of the trials that did not diverge; the ranking counts the others as the worst value"
    if "loss" in names:
        yield "loss: median training loss from the first step to the last, one scale for all"
    if "stuck" in names:
        constant = found.run.data.get("constant_loss")
        yield f"stuck: not 1 % better than a constant answer{f' (loss {constant:.4g})' if constant else ''}"
    if "steps to target" in names:
        yield next(text for text in found.method if text.startswith("Steps to target"))
    if text := said(found.foretold):
        yield f"{'why' if 'why' in names else AT_START}: {text}"
    if "why" not in names:
        yield from unexplained(rows)
    if RATIO in names:
        yield f"{RATIO}: gradient norm of the first weight over the last's before training"
