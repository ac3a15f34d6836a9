"""The runs that ``winit list runs`` shows: which, in what order, in which columns."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from winit_cli.cli.fitted import Column, fitted, table
from winit_cli.cli.terminal import Terminal
from winit_cli.errors import UsageError, known

Row = dict[str, Any]
KEYS = ("run", "state", "model", "data", "label", "started")  # what runs are chosen by
ORDERS = ("started", "run", "state", "model", "data", "trials")
LARGEST_FIRST = ("started", "trials")


def runs_under(results: Path) -> list[Row]:
    """The runs of a results directory, the newest first."""
    from winit_cli.store.runs import run_facts, runs, state_of

    found = []
    for path in reversed(runs(results)):
        facts = run_facts(path)
        status, config = facts.get("status", {}), facts.get("config", {})
        counts = {name: count for name, count in status.get("trials", {}).items() if count}
        found.append(
            {
                "run": path.name,
                "state": state_of(path, facts),
                "trials": ", ".join(f"{count} {name}" for name, count in counts.items()),
                "model": config.get("model", {}).get("name", ""),
                "data": config.get("data", {}).get("name", ""),
                "started": facts.get("env", {}).get("started", ""),
                "labels": facts.get("labels", []),
            }
        )
    return found


def chosen(rows: list[Row], where: Sequence[str]) -> list[Row]:
    """The runs that fit, for each key that is named, one of the values given for it.

    Raises:
        UsageError: a condition is not ``KEY=VALUE`` with one of ``KEYS``.
    """
    wanted: dict[str, list[str]] = {}
    for text in where:
        key, equals, value = text.partition("=")
        if not equals or not value:
            raise UsageError(f"--where {text}: write KEY=VALUE, for example state=complete or label=kaiming*")
        if key not in KEYS:
            raise UsageError(f"--where {text}: runs are not chosen by '{key}'; {known(key, KEYS)}")
        wanted.setdefault(key, []).append(value.lower())
    return [row for row in rows if all(_fits(row, key, values) for key, values in wanted.items())]


def _fits(row: Row, key: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(text.lower(), pattern) for text in _texts(row, key) for pattern in patterns)


def _texts(row: Row, key: str) -> list[str]:
    return row["labels"] if key == "label" else [row[key]]


def none_chosen(rows: list[Row], where: Sequence[str]) -> str:
    """That no run fits, with what the keys have."""
    keys = dict.fromkeys(text.partition("=")[0] for text in where)
    there = {key: sorted({text for row in rows for text in _texts(row, key)}) for key in keys}
    said = "; ".join(f"{key} is one of: {', '.join(texts)}" for key, texts in there.items())
    return f"none of {len(rows)} runs fits {' '.join(where)}; {said}"


def in_order(rows: list[Row], by: str) -> list[Row]:
    """The runs sorted: the newest and those of most trials first, texts from a to z; equal ones stay as they were.

    Raises:
        UsageError: there is no such order.
    """
    if by not in ORDERS:
        raise UsageError(f"--sort {by}: runs have no such order; {known(by, ORDERS)}")
    return sorted(rows, key=lambda row: _trials(row) if by == "trials" else row[by], reverse=by in LARGEST_FIRST)


def _trials(row: Row) -> int:
    """How many in all of ``38 ok, 2 diverged``."""
    return sum(int(part.split()[0]) for part in row["trials"].split(", ") if part)


def print_runs(terminal: Terminal, runs: list[Row]) -> None:
    """As many columns as there is room for; the names are whole, so that they can be copied."""
    made = [Column(name, [_spelled(name, row[name]) for row in runs], "left") for name in runs[0] if name != "labels"]
    console = terminal.out
    shown = fitted(made, ("started", "model", "data", "trials", "state"), console.width)
    if len(shown) > 1:
        terminal.print(table(shown, console))
        return
    for row in runs:
        terminal.path(row["run"])


def _spelled(name: str, value: str) -> str:
    """``2026-05-01 12:30`` of a time."""
    return value[:16].replace("T", " ") if name == "started" else value
