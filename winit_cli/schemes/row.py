"""The row that describes a scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

from winit_cli.errors import known
from winit_cli.tables import LARGEST_NUMBER, Strict, options_of
from winit_cli.theory.activations import ACTIVATIONS
from winit_cli.theory.moments import Moments


def _gain(value: object) -> object:
    if isinstance(value, str) and value != "auto" and value not in ACTIVATIONS:
        names = ["auto", *ACTIVATIONS]
        raise ValueError(f"expected a number, an activation or auto, got '{value}'; {known(value, names)}")
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER
    if not number and not isinstance(value, str):
        raise ValueError(f"expected a finite number, an activation or auto, got {value!r}")
    return value


Gain = Annotated[float | str, BeforeValidator(_gain)]


@dataclass(frozen=True)
class Scheme:
    """A named way to fill parameters.

    ``fill(tensor, generator, **options)`` fills one block in place: a whole weight, one gate of a packed
    recurrent weight, or one group of a grouped convolution. ``moments(shape, **options)`` says what to
    expect of it. The options are the keyword-only parameters of ``fill``, named as torch names them.
    ``dims`` bounds the number of dimensions of a block that it can fill. ``check(options)`` returns what is
    wrong with options that are valid one by one. ``source`` is the SHA-256 of the code of a scheme that is not
    winit's own. ``keeps`` says what stays constant from layer to layer, and through which activation. ``torch_call`` is
    Python that fills ``w`` alike, with ``{option}`` for values. ``winit explain`` derives the rest from ``moments``.
    """

    name: str
    fill: Callable[..., Any]
    family: str = "plug-in"
    summary: str = ""
    formula: str = ""
    keeps: str = ""
    paper: str = ""
    torch_call: str = ""
    moments: Callable[..., Moments] = lambda shape, **options: Moments(std=None, mean=None)
    dims: tuple[int, int] = (0, 99)
    aliases: tuple[str, ...] = ()
    pitfalls: tuple[str, ...] = ()
    check: Callable[[Mapping[str, Any]], str | None] = lambda options: None
    own_biases: bool = False
    source: str = ""

    @property
    def options(self) -> type[Strict]:
        """The pydantic model of its options."""
        return options_of(self.fill)

    @property
    def applies_to(self) -> str:
        """Which parameters it can fill, in words."""
        names = {
            (0, 99): "all weights and biases",
            (2, 99): "linear, conv, recurrent, embedding weights",
            (2, 2): "linear, recurrent, embedding weights",
            (3, 5): "conv weights",
        }
        return names.get(self.dims, f"parameters of {self.dims[0]} to {self.dims[1]} dimensions")

    def can_fill(self, shape: Sequence[int]) -> bool:
        """Whether a block of this shape is something it can fill."""
        return self.dims[0] <= len(shape) <= self.dims[1]
