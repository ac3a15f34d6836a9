"""Whether what a scan asks for can be built: before the first network is measured."""

from __future__ import annotations

from collections.abc import Sequence

from winit_cli.errors import ConfigError, Fault, UsageError
from winit_cli.probe.grid import Spot
from winit_cli.schemes.apply import assign
from winit_cli.widths import too_large

MOST_SPOTS = 10_000


def check_spots(spots: Sequence[Spot]) -> None:
    """Refuse grids that are too large, and schemes that do not fit a size.

    Raises:
        UsageError: more than 10,000 places, or a network of more than the memory that winit takes at once.
        ConfigError: a scheme cannot fill a network; the message names the place.
    """
    if len(spots) > MOST_SPOTS:
        raise UsageError(f"{len(spots):,} networks to measure, expected at most {MOST_SPOTS:,}; scan fewer values")
    for spot in spots:
        trial = spot.trials[0]
        slots = trial.setting.rehearsal.slots
        if said := too_large(slots):
            raise UsageError(f"{named(spot)} {said}; scan smaller networks")
        try:
            assign(slots, trial.entry.recipe)
        except ConfigError as error:
            raise ConfigError([Fault(named(spot), fault.message) for fault in error.faults]) from None


def named(spot: Spot) -> str:
    """``kaiming_normal at depth 10, width 64``."""
    sizes = [f"{axis} {size}" for axis, size in (("depth", spot.depth), ("width", spot.width)) if size is not None]
    return f"{spot.label} at {', '.join(sizes)}" if sizes else spot.label
