"""The weights that a trial began with, as a safetensors file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from winit_cli.config import Config
from winit_cli.config.schema import slug
from winit_cli.engine.initial import initialized
from winit_cli.errors import StorageError, UsageError
from winit_cli.export.output import refuse_existing, write_new
from winit_cli.export.stored import StoredRun, StoredTrial, read_stored
from winit_cli.plan import Trial, make_plan
from winit_cli.schemes.audit import init_hash


@dataclass(frozen=True)
class Wanted:
    """Which trial; ``None`` where the run has one label or seed. ``model`` and ``loss`` are a user's own, loaded."""

    label: str | None = None
    seed: int | None = None
    lr: float | None = None
    model: str | None = None
    loss: str | None = None


def to_safetensors(run: Path, out: Path | None, wanted: Wanted) -> Path:
    """Write the initial state of a trial: parameters and buffers, tied ones under each of their names.

    Raises:
        ConfigError: the run had code of the user's that was not loaded.
        UsageError: the file exists, there is no such trial, or the model's state has more than tensors.
        StorageError: the values differ from those that the run began with, or the disk refused.
    """
    stored = read_stored(run)
    chosen = stored.trial(stored.label(wanted.label), wanted.seed, wanted.lr)
    out = out or Path(f"{slug(chosen.label)}-seed{chosen.seed}.safetensors")
    refuse_existing(out)
    model, trial, made = _rebuilt(stored, chosen, stored.config(wanted.model, wanted.loss))
    if made != chosen.init_hash:
        raise StorageError(_differs(stored, trial, made, str(chosen.init_hash)))
    facts = {"label": trial.label, "seed": str(trial.seed), "scheme": trial.entry.recipe.scheme}
    metadata = {**facts, "init_hash": made, "run": stored.name}
    return write_new(out, safetensors.torch.save(_tensors(model), metadata))


def _rebuilt(stored: StoredRun, chosen: StoredTrial, config: Config) -> tuple[nn.Module, Trial, str]:
    """The model as the trial began with it, the trial, and the hash of its parameters."""
    plan = make_plan(config, stored.env["device"])
    key = (chosen.label, chosen.lr, chosen.seed)
    trial = next(trial for trial in plan.trials if (trial.label, trial.lr, trial.seed) == key)
    initial = initialized(trial)
    return initial.model, trial, init_hash(initial.records)


def initial_hash(trial: Trial) -> str:
    """The hash of the values that a trial begins with."""
    return init_hash(initialized(trial).records)


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Copies without shared memory, which the format does not know."""
    state = model.state_dict()
    others = [name for name, value in state.items() if not isinstance(value, Tensor)]
    if others:
        raise UsageError(f"the model's state holds more than tensors ({', '.join(others)}); safetensors takes no more")
    return {name: value.detach().cpu().clone().contiguous() for name, value in state.items()}


def _differs(stored: StoredRun, trial: Trial, made: str, recorded: str) -> str:
    ran, here = stored.env["torch"], torch.__version__
    cause = f"the run had torch {ran}, here is torch {here}: use that version"
    if ran == here:
        cause = f"torch is {here} as in the run, so its code, winit or the processor differs: use what the run had"
    return (
        f"{trial.key} begins otherwise here than in {stored.name}, so nothing is written: init_hash {made}, "
        f"recorded {recorded}; {cause}, or run the config again with --fresh"
    )
