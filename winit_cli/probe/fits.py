"""Whether what a scan asks for can be built: before the first network is measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

from winit_cli.engine.division import MEMORY
from winit_cli.errors import ConfigError, Fault, UsageError
from winit_cli.probe.examples import EXAMPLES
from winit_cli.probe.grid import Spot
from winit_cli.schemes.apply import assign
from winit_cli.schemes.slots import Slot
from winit_cli.sizes import size_text

MOST_SPOTS = 10_000
OF_WEIGHT, OF_UNIT = 3 * 4, 4 * 4 + 2 * 8  # bytes: values, gradients, a copy; outputs and what is computed of them


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
        if (need := _bytes(slots)) > MEMORY:
            raise UsageError(
                f"{named(spot)} takes about {size_text(need)}, more than {size_text(MEMORY)}; scan smaller networks"
            )
        try:
            assign(slots, trial.entry.recipe)
        except ConfigError as error:
            raise ConfigError([Fault(named(spot), fault.message) for fault in error.faults]) from None


def named(spot: Spot) -> str:
    """``kaiming_normal at depth 10, width 64``."""
    sizes = [f"{axis} {size}" for axis, size in (("depth", spot.depth), ("width", spot.width)) if size is not None]
    return f"{spot.label} at {', '.join(sizes)}" if sizes else spot.label


def _bytes(slots: Sequence[Slot]) -> int:
    numbers = sum(math.prod(slot.shape) for slot in slots)
    units = sum(slot.shape[0] for slot in slots if len(slot.shape) > 1)
    return OF_WEIGHT * numbers + OF_UNIT * EXAMPLES * units
