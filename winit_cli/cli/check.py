"""``winit check``: the dry run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winit_cli.cli.guard import guarded
from winit_cli.cli.options import RESULTS, Device, Engine, Json, Loss, Model, NoColor, Plugin, Results, Settings
from winit_cli.cli.terminal import Terminal, prints_aside

if TYPE_CHECKING:
    from winit_cli.plan import Plan
    from winit_cli.setting import Setting

# bytes per row, measured on a run of configs/mnist.yaml; longer labels take a little more in the CSV files
CURVE_ROW, GRADIENT_ROW, INIT_ROW = 37, 21, 159  # in run.sqlite (dbstat)
CSV_CURVE_ROW, CSV_GRADIENT_ROW, CSV_INIT_ROW = 78, 78, 206


@guarded
def check(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="A YAML file, or the name of a packaged one.")],
    settings: Settings = [],  # noqa: B006
    model: Model = None,
    loss: Loss = None,
    plugin: Plugin = [],  # noqa: B006
    results: Results = RESULTS,
    device: Device = "auto",
    engine: Engine = None,
    json: Json = False,
    no_color: NoColor = False,
) -> None:
    """Validate a config and say how large the job is; trains nothing and writes nothing."""
    from winit_cli.cli.sources import Changes, load, spoken_notes
    from winit_cli.environment import resolve_device
    from winit_cli.plan import make_plan
    from winit_cli.plugins import plugged

    terminal = Terminal(json, no_color=no_color)
    with plugged(plugin, model, loss), prints_aside():
        loaded = load(config, Changes(settings, engine, model, loss))
        plan = make_plan(loaded, resolve_device(device))
        facts = size_of(plan, results)
        notes = [*spoken_notes(loaded), *dict.fromkeys(n for s in plan.settings for n in s.notes)]
    for note in notes:
        terminal.note(note)
    terminal.document(facts)
    if not json:
        for line in _lines(facts):
            terminal.print(line)


def size_of(plan: Plan, results: Any) -> dict[str, Any]:
    """Trials, updates, and estimates of memory and disk in bytes."""
    from winit_cli.store.runs import finished_elsewhere

    identities = [trial.identity for trial in plan.trials]
    finished = {
        identity for there in finished_elsewhere(results, results / "none", identities).values() for identity in there
    }
    done = sum(identity in finished for identity in identities)
    trials_of = {setting.suffix: 0 for setting in plan.settings}
    for trial in plan.trials:
        trials_of[trial.setting.suffix] += 1
    return {
        "run": plan.name,
        "trials": len(plan.trials),
        "already_trained": done,
        "labels": len(plan.labels),
        "updates": sum(trials_of[s.suffix] * s.steps for s in plan.settings),
        "parameters": sorted({_parameters(s)[1] for s in plan.settings}),
        "memory_bytes": max(_memory(s) for s in plan.settings),
        "disk_bytes": sum(trials_of[s.suffix] * _disk(s) for s in plan.settings),
    }


def _parameters(setting: Setting) -> tuple[int, int]:
    """Number of parameter tensors, and of parameters."""
    shapes = [slot.shape for slot in setting.rehearsal.slots]
    return len(shapes), sum(math.prod(shape) for shape in shapes)


def _memory(setting: Setting) -> int:
    """The data, and for one trial its weights, gradients and two states of an optimizer, four bytes each."""
    data = setting.dataset
    parts = [part for part in (data.train, data.val, data.test) if part is not None]
    held = sum(part.x.numel() * 4 + part.y.numel() * 8 for part in parts)
    return held + 4 * 4 * _parameters(setting)[1]


def _disk(setting: Setting) -> int:
    """Rows of one trial in the store and in the CSV files."""
    tensors, _ = _parameters(setting)
    measured, tested = setting.steps // setting.every + 2, setting.steps // setting.test_every + 2
    curves = measured + tested
    return (
        curves * (CURVE_ROW + CSV_CURVE_ROW)
        + measured * tensors * (GRADIENT_ROW + CSV_GRADIENT_ROW)
        + tensors * (INIT_ROW + CSV_INIT_ROW)
        + 2 * 8 * 4 * math.prod(setting.task.input_shape)
    )


def _lines(facts: dict[str, Any]) -> list[str]:
    parameters = ", ".join(f"{count:,}" for count in facts["parameters"])
    return [
        "the config is valid",
        f"run        {facts['run']}",
        f"trials     {facts['trials']:,} of {facts['labels']} labels; trained already: {facts['already_trained']:,}",
        f"updates    {facts['updates']:,} in all",
        f"parameters {parameters} per model",
        f"memory     about {_size(facts['memory_bytes'])} beside what Python and torch take",
        f"disk       about {_size(facts['disk_bytes'])}",
    ]


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{max(1, round(count / 2**20))} MiB"
