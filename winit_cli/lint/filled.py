"""A parameter and what fills it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from winit_cli.schemes import SCHEMES
from winit_cli.schemes.apply import Assignment, assign
from winit_cli.schemes.audit import expected
from winit_cli.schemes.recipe import Recipe, Use
from winit_cli.schemes.slots import Slot
from winit_cli.theory.moments import Moments

UNTOUCHED = ("pytorch_default", "as_built")  # schemes that leave a parameter to the layer or the model
AS_DRAWN = ("orthogonal", "sparse", "trunc_normal", "trunc_normal_tf")  # neither their ties nor their tails matter here
UNKNOWN = Moments(std=None, mean=None)


@dataclass(frozen=True)
class Filled:
    """A parameter with the scheme that fills it and the moments expected of its values."""

    slot: Slot
    use: Use
    rule: str
    moments: Moments

    @property
    def name(self) -> str:
        """As in ``named_parameters``."""
        return self.slot.name

    @property
    def is_constant(self) -> bool:
        """Whether all its values are one number."""
        return self.moments.std == 0 and self.moments.mean is not None

    @property
    def is_drawn(self) -> bool:
        """Whether its entries are independent draws of known mean and spread, or act on a signal as such do."""
        moments = self.moments
        is_so = moments.drawn or self.use.scheme in AS_DRAWN
        return is_so and bool(moments.std) and moments.mean is not None

    @property
    def is_zero(self) -> bool:
        """Whether all its values are 0."""
        return self.is_constant and self.moments.mean == 0


def filled_by(recipe: Recipe, slots: Iterable[Slot]) -> dict[str, Filled]:
    """All parameters by name, in the model's order."""
    return {one.slot.name: Filled(one.slot, one.use, one.rule, moments_of(one)) for one in assign(slots, recipe)}


def moments_of(assignment: Assignment) -> Moments:
    """What is expected; unknown where a user's own formula raises an error, which training then tells."""
    try:
        return expected(assignment)
    except Exception:
        if not SCHEMES[assignment.use.scheme].source:
            raise
        return UNKNOWN
