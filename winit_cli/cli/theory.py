"""``winit theory``: what mean-field theory says of a setting, before anything is trained."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich import box
from rich.markup import escape
from rich.table import Table

from winit_cli.cli.guard import guarded
from winit_cli.cli.options import Json, NoColor
from winit_cli.cli.terminal import Terminal
from winit_cli.errors import UsageError

LARGEST = 1e6  # of sigma_w2 and sigma_b2
NEEDED = {
    None: ("--sigma-w2", "--sigma-b2"),
    "--critical": ("--sigma-b2",),
    "--born-dead": ("--width", "--depth"),
}
Rows = list[tuple[str, float | None, str]]  # key, value, and what it means


@guarded
def theory(
    activation: Annotated[str, typer.Option("--activation", help="By torch's functional name: tanh, relu, gelu …")],
    sigma_w2: Annotated[float | None, typer.Option("--sigma-w2", help="fan_in times the variance of weights.")] = None,
    sigma_b2: Annotated[float | None, typer.Option("--sigma-b2", help="The variance of biases.")] = None,
    critical: Annotated[bool, typer.Option("--critical", help="Find sigma_w2 between order and chaos.")] = False,
    born_dead: Annotated[bool, typer.Option("--born-dead", help="How probably a relu net passes nothing on.")] = False,
    width: Annotated[int | None, typer.Option("--width", help="Units of a layer, with --born-dead.")] = None,
    depth: Annotated[int | None, typer.Option("--depth", help="Relu layers, with --born-dead.")] = None,
    json: Json = False,
    no_color: NoColor = False,
) -> None:
    """Mean-field numbers of a wide net: where signals settle, order or chaos, how deep they reach.

    In --json, null stands for what does not exist.
    """
    terminal = Terminal(json, no_color=no_color)
    numbers = {"--sigma-w2": sigma_w2, "--sigma-b2": sigma_b2, "--width": width, "--depth": depth}
    given = {name: number for name, number in numbers.items() if number is not None}
    _check(given, [name for name, asked in (("--critical", critical), ("--born-dead", born_dead)) if asked])
    if born_dead:
        rows = _born_dead(activation, int(given["--width"]), int(given["--depth"]))
    elif critical:
        rows = _critical(activation, given["--sigma-b2"])
    else:
        rows = _mean_field(activation, given["--sigma-w2"], given["--sigma-b2"])
    if activation == "sine":
        terminal.note("sine is sin(30 z): mean squares are those of z")
    terminal.document({key: value for key, value, _ in rows})
    if not json:
        _print(terminal, rows)


def _check(given: dict[str, Any], questions: list[str]) -> None:
    """Refuse options that are missing, that belong to another question, or that are out of range."""
    if len(questions) > 1:
        raise UsageError("--critical and --born-dead are two questions; ask one of them")
    question = questions[0] if questions else None
    needed = NEEDED[question]
    asked = f"winit theory {question or ''}".strip()
    hint = "" if question else "; or --critical with --sigma-b2, or --born-dead with --width and --depth"
    if missing := [name for name in needed if name not in given]:
        raise UsageError(f"{asked} needs {' and '.join(needed)}; missing: {', '.join(missing)}{hint}")
    if extra := [name for name in given if name not in needed]:
        raise UsageError(f"{asked} takes {' and '.join(needed)}, not {', '.join(extra)}{hint}")
    for name, number in given.items():
        if name.startswith("--sigma") and not 0 <= number <= LARGEST:
            raise UsageError(f"{name} {number:g}: expected a variance from 0 to {LARGEST:g}")


def _mean_field(activation: str, sigma_w2: float, sigma_b2: float) -> Rows:
    from winit_cli.theory.phase import mean_field, meanings

    found = mean_field(activation, sigma_w2, sigma_b2)
    return [(key, getattr(found, key), meaning) for key, meaning in meanings(found, sigma_b2).items()]


def _critical(activation: str, sigma_b2: float) -> Rows:
    from winit_cli.theory.critical import critical_point
    from winit_cli.theory.phase import of_critical

    point = critical_point(activation, sigma_b2)
    of_weights, of_q = of_critical(point, sigma_b2)
    return [("sigma_w2", point.sigma_w2, of_weights), ("q_star", point.q_star, of_q)]


def _born_dead(activation: str, width: int, depth: int) -> Rows:
    from winit_cli.theory.activations import check_activation
    from winit_cli.theory.dead import born_dead

    check_activation(activation)
    if activation != "relu":
        raise UsageError(f"--born-dead is about relu, whose units are exactly off; {activation} has no such law")
    meaning = "the probability that an input is lost in a layer whose units are all off (biases zero)"
    return [("p_dead", born_dead(width, depth), meaning)]


def _print(terminal: Terminal, rows: Rows) -> None:
    table = Table(box=box.SIMPLE_HEAD if terminal.out.is_terminal else None, pad_edge=False)
    for name in ("number", "value", "meaning"):
        table.add_column(name, overflow="fold", no_wrap=name != "meaning")
    for key, value, meaning in rows:
        table.add_row(key, "–" if value is None else f"{value:.5g}", escape(meaning))
    terminal.print(table)
