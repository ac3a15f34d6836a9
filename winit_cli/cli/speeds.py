"""The tables of ``winit bench``."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from rich import box
from rich.table import Table

from winit_cli.cli.terminal import Terminal

Columns = dict[str, Callable[[Any], str]]


def show(terminal: Terminal, found: dict[str, Any]) -> None:
    """Print speeds, costs and the machine of a bench's document."""
    rows = {(row["case"], row["method"], row["trials"]): row for row in found["rows"]}
    automatic = [row for row in found["rows"] if row["method"] == "auto"]
    speeds = [_speeds(rows, auto) for auto in automatic]
    _table(terminal, "trial-steps per second; how many times the loops' speed auto has", speeds)
    peak = found["machine"]["matmul_flops_per_second"]
    _table(terminal, "the engine that auto chose, by trial-step and by run", [_costs(row, peak) for row in automatic])
    _table(terminal, "by case", [_sheet(rows, case) for case in found["cases"]])
    terminal.print(
        f"this machine: {_short(peak / 1e9)} GFLOP/s in large float32 products, "
        f"{_short(found['machine']['bytes_per_second'] / 1e9)} GB/s in large additions"
    )


def _speeds(rows: dict[Any, Any], auto: dict[str, Any]) -> dict[str, str]:
    case, trials = auto["case"], auto["trials"]
    speed = {
        name: _short(rows.get((case, name, count), {}).get("trial_steps_per_second"))
        for name, count in (("script", 1), ("tuned", 1), ("serial", trials), ("stacked", trials))
    }
    return {
        "case": case,
        "trials": str(trials),
        "DataLoader loop": speed["script"],
        "tuned loop": speed["tuned"],
        "serial": speed["serial"],
        "stacked": speed["stacked"],
        "auto": auto["engine"],
        "× DataLoader": _short(auto["against_script"]),
        "× tuned": _short(auto["against_tuned"]),
    }


def _costs(row: dict[str, Any], peak: float) -> dict[str, str]:
    memory = row["peak_bytes"]
    return {
        "case": row["case"],
        "trials": str(row["trials"]),
        "engine": row["engine"],
        "ms": _short(1e3 * row["seconds"]),
        "GFLOP/s": _short(row["flops_per_second"] / 1e9),
        "of peak": f"{_short(100 * row['flops_per_second'] / peak)} %",
        "start-up s": _short(row["startup_seconds"]),
        "first step s": _short(row["first_step_seconds"]),
        "memory MiB": _short(None if memory is None else memory / 2**20),
    }


def _sheet(rows: dict[Any, Any], case: dict[str, Any]) -> dict[str, str]:
    loops = {name: rows.get((case["case"], name, 1), {}).get("flops_per_second") for name in ("script", "tuned")}
    on_gpu = {}
    if case["copy"]:
        cost = case["deterministic_seconds"] / case["any_kernel_seconds"]
        on_gpu = {
            "copy ms": _ms(case["copy"]),
            "draw on GPU ms": _ms(case["draw_on_gpu"]),
            "determinism ×": _short(cost),
        }
    return {
        "case": case["case"],
        "MFLOP a step": _short(case["flops"] / 1e6),
        "DataLoader loop GFLOP/s": _short(loops["script"] and loops["script"] / 1e9),
        "tuned loop GFLOP/s": _short(loops["tuned"] and loops["tuned"] / 1e9),
        "draw weights ms": _ms(case["draw"]),
        **on_gpu,
    }


def _table(terminal: Terminal, title: str, rows: Sequence[dict[str, str]]) -> None:
    terminal.print(f"[bold]{title}[/bold]")
    table = Table(box=box.SIMPLE_HEAD if terminal.out.is_terminal else None, pad_edge=False)
    for name in rows[0]:
        table.add_column(name, justify="left" if name in ("case", "auto", "engine") else "right")
    for row in rows:
        table.add_row(*row.values())
    terminal.print(table)
    terminal.print()


def _ms(seconds: float) -> str:
    return _short(1e3 * seconds)


def _short(value: float | None) -> str:
    """Three digits, or a dash for what was not measured."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
