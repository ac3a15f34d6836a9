"""The networks of a scan: every combination of depth, width and scale of Gaussian weights, for every label."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from winit_cli.config import SchemeEntry
from winit_cli.errors import UsageError
from winit_cli.models import MODELS
from winit_cli.plan import Plan, Trial
from winit_cli.schemes.recipe import Recipe, Rule, Use
from winit_cli.setting import Setting
from winit_cli.widths import resized

GAUSSIAN = "gaussian"  # the label of weights that a scan draws itself


@dataclass(frozen=True)
class Grid:
    """What is scanned; an axis without values stays as the config has it, or its schemes where that is ``sigma_w``."""

    depths: tuple[int, ...] = ()
    widths: tuple[int, ...] = ()
    sigma_w: tuple[float, ...] = ()
    sigma_b: float = 0.0


@dataclass(frozen=True)
class Spot:
    """A place of the grid with one trial for each seed; depth and width are None where the model has no such option."""

    label: str
    depth: int | None
    width: int | None
    sigma_w: float | None
    trials: tuple[Trial, ...]


def check_grid(plan: Plan, grid: Grid) -> None:
    """Refuse to scan what the model does not have, or what the config varies itself.

    Raises:
        UsageError: the model has no option for an axis, or ``vary:`` names it.
    """
    setting = plan.settings[0]
    there = setting.model.size_options
    for axis, values in (("depth", grid.depths), ("width", grid.widths)):
        if values and axis not in there:
            having = [f"{row.name}: {names[axis]}" for row in MODELS.values() if axis in (names := row.size_options)]
            raise UsageError(
                f"{setting.model.name} has no option for its {axis}, so --{axis}s cannot scan it; "
                f"models that do: {', '.join(having)}"
            )
        if values and f"model.{there[axis]}" in plan.config.vary:
            raise UsageError(f"the config varies model.{there[axis]} itself; scan it without: -s vary=null --{axis}s …")


def spots(plan: Plan, grid: Grid, most_seeds: int | None) -> Iterator[Spot]:
    """All places, label by label, then by sigma_w, depth and width."""
    for setting in plan.settings:
        sized = {
            sizes: resized(setting, *sizes)
            for sizes in itertools.product(grid.depths or (None,), grid.widths or (None,))
        }
        seeds = setting.experiment.general.seeds[:most_seeds]
        for index, sigma_w, sizes in itertools.product(range(_entries(setting, grid)), grid.sigma_w or (None,), sized):
            here = sized[sizes]
            entry = here.experiment.schemes[index] if sigma_w is None else gaussian(sigma_w, grid.sigma_b)
            trials = tuple(Trial(here, entry, here.train.lr[0], seed, "") for seed in seeds)
            yield Spot(trials[0].label, _size(here, "depth"), _size(here, "width"), sigma_w, trials)


def _entries(setting: Setting, grid: Grid) -> int:
    return 1 if grid.sigma_w else len(setting.experiment.schemes)


def _size(setting: Setting, axis: str) -> int | None:
    name = setting.model.size_options.get(axis)
    if name is None:
        return None
    default = setting.model.options.model_fields[name].default
    size = setting.experiment.model.options.get(name, default)
    return size if isinstance(size, int) else None


def gaussian(sigma_w: float, sigma_b: float) -> SchemeEntry:
    """Weights ``N(0, sigma_w^2 / fan_in)`` and biases ``N(0, sigma_b^2)``, as mean-field theory has them; fans are per
    gate and per group."""
    scaled = Use("variance_scaling", {"scale": sigma_w**2, "mode": "fan_in", "distribution": "untruncated_normal"})
    biases, as_built = Use("normal", {"mean": 0.0, "std": sigma_b}), Use("as_built")
    recipe = Recipe(scaled.scheme, (Rule(scaled, layers="any"),), as_built, biases, fallback=as_built)
    return SchemeEntry(label=GAUSSIAN, recipe=recipe, flat={})
