"""``winit diff``: two runs side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from rich.markup import escape

from winit_cli.cli.columns import SURVIVORS
from winit_cli.cli.fitted import Column, fitted, table
from winit_cli.cli.guard import guarded
from winit_cli.cli.options import RESULTS, Json, NoColor, Results, run_argument
from winit_cli.cli.terminal import Terminal
from winit_cli.errors import UsageError

if TYPE_CHECKING:
    from winit_cli.findings.differences import Differences
    from winit_cli.findings.numbers import Row
    from winit_cli.findings.pair import Pair, Same, Side

A = Annotated[str, run_argument("A")]
B = Annotated[str, run_argument("B")]
TEXT_WIDTH = 12  # letters down to which what differs is folded


@guarded
def diff(
    a: A,
    b: B,
    results: Results = RESULTS,
    json: Json = False,
    no_color: NoColor = False,
) -> None:
    """Compare two runs: config, environment and results side by side, and whether trials of both came out alike."""
    from winit_cli.findings.pair import Pair, read_side
    from winit_cli.store.runs import find_run

    paths = [find_run(results, text) for text in (a, b)]
    if paths[0].resolve() == paths[1].resolve():
        raise UsageError(f"both are {paths[0]}; name two runs (winit list runs)")
    pair = Pair(*map(read_side, paths))
    terminal = Terminal(json, no_color=no_color)
    terminal.document(_document(pair))
    for name, side in (("A", pair.a), ("B", pair.b)):
        terminal.path(side.path, before=f"[bold]{name}[/bold]  ", after=f"  [dim]{escape(_state(side))}[/dim]")
    _show_differences(terminal, "config", pair.config)
    _show_differences(terminal, "environment", pair.environment)
    _show_results(terminal, pair)
    for line in _alike(pair.same):
        terminal.print(escape(line))


def _state(side: Side) -> str:
    started = str(side.env["started"])[:16].replace("T", " ")
    return ", ".join([side.state, f"started {started}", *(f"{n} {status}" for status, n in side.counts.items())])


def _show_differences(terminal: Terminal, name: str, found: Differences) -> None:
    from winit_cli.findings.differences import shown

    terminal.print()
    if not found:
        terminal.print(f"{name}: no difference")
        return
    columns = [
        Column(name, [key for key, _ in found], "left", folds=TEXT_WIDTH),
        *(
            Column(side, [shown(values[place]) for _, values in found], "left", folds=TEXT_WIDTH)
            for place, side in enumerate("AB")
        ),
    ]
    terminal.print(table(columns, terminal.out))


def _show_results(terminal: Terminal, pair: Pair) -> None:
    from winit_cli.findings.numbers import number, records

    terminal.print()
    rows = [row for row in records(pair.results) if row["metric"] == pair.metric]
    if not rows:
        terminal.print("results: no trial has ended in either run")
        return
    scores = {side: [_score(row, side) for row in rows] for side in "ab"}
    gaps = [f"{'+' if row['difference'] > 0 else ''}{number(row['difference']) or '-'}" for row in rows]
    columns = [
        Column(pair.metric.removeprefix("final_").replace("_", " "), [row["label"] for row in rows], "left", folds=18),
        *([Column("lr", [number(row["lr"]) for row in rows])] if pair.by_rate else []),
        *(Column(side.upper(), scores[side]) for side in "ab"),
        *([Column("B - A", gaps)] if pair.same_data else []),
    ]
    terminal.print(table(fitted(columns, ("B - A",), terminal.out.width), terminal.out))
    terminal.print()
    terminal.print("±: half of the 95 % interval over seeds")
    if any(text.endswith(SURVIVORS) for texts in scores.values() for text in texts):
        terminal.print(f"{SURVIVORS}: mean of the trials that did not diverge")
    if not pair.same_data:
        terminal.print("the runs had other examples, so that their results are of different things")


def _score(row: Row, side: str) -> str:
    """Mean ± half of its interval, marked where some trials have none."""
    from winit_cli.findings.numbers import with_interval

    if row[f"n_{side}"] > 0 and row[f"diverged_{side}"] == row[f"n_{side}"]:
        return "diverged"
    text = with_interval(*(row[f"{name}_{side}"] for name in ("mean", "ci_low", "ci_high"))) or "-"
    return f"{text} {SURVIVORS}" if row[f"diverged_{side}"] > 0 else text


def _alike(same: Same) -> list[str]:
    """Whether trials that are in both runs came out alike."""
    from winit_cli.findings.numbers import counted, number

    if same.trials == 0:
        return ["no trial is in both runs"]
    copied = f" ({same.copied} copied from one run to another)" if same.copied else ""
    ends = [f"{same.ended} ended with the same numbers"] if same.unfinished < same.trials else []
    if same.unfinished:
        ends.append(f"{same.unfinished} did not end in both")
    began = f"{counted(same.trials, 'trial')} in both runs{copied}: {same.begun} began with the same weights"
    return [", ".join([began, *ends])] + [
        f"largest difference of {name}: {number(gap)}, {trial}" for name, (trial, gap) in same.largest.items()
    ]


def _document(pair: Pair) -> dict[str, Any]:
    from dataclasses import asdict

    from winit_cli.findings.numbers import records

    return {
        "a": _side(pair.a),
        "b": _side(pair.b),
        "same_data": pair.same_data,
        "config": {key: dict(zip("ab", values, strict=True)) for key, values in pair.config},
        "environment": {key: dict(zip("ab", values, strict=True)) for key, values in pair.environment},
        "metric": pair.metric,
        "results": records(pair.results.astype(object)),
        "same_trials": asdict(pair.same),
    }


def _side(side: Side) -> dict[str, Any]:
    return {"run": str(side.path), "state": side.state, "trials": side.counts}
