"""The row that describes a scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

from winit_cli.errors import known
from winit_cli.schemes.recipe import Use
from winit_cli.schemes.slots import Slot
from winit_cli.tables import LARGEST_NUMBER, Strict, options_of
from winit_cli.theory.activations import ACTIVATIONS
from winit_cli.theory.moments import Moments


def _gain(value: object) -> object:
    if isinstance(value, str) and value not in ("auto", "integrated", *ACTIVATIONS):
        names = ["auto", "integrated", *ACTIVATIONS]
        raise ValueError(f"expected a number, an activation or auto, got '{value}'; {known(value, names)}")
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER
    if not number and not isinstance(value, str):
        raise ValueError(f"expected a finite number, an activation or auto, got {value!r}")
    return value


def _through_others(tensor: Any, generator: Any) -> None:
    raise AssertionError("a scheme without a function of its own fills through those that it chooses")


Gain = Annotated[float | str, BeforeValidator(_gain)]


def _activation(value: object) -> object:
    if value != "auto" and value not in ACTIVATIONS:
        raise ValueError(f"expected an activation or auto, got '{value}'; {known(str(value), ['auto', *ACTIVATIONS])}")
    return value


Activation = Annotated[str, BeforeValidator(_activation)]


@dataclass(frozen=True)
class Scheme:
    """A named way to fill parameters.

    ``fill(tensor, generator, **options)`` fills one block in place: a whole weight, one gate of a packed
    recurrent weight, or one group of a grouped convolution. ``moments(shape, **options)`` says what to
    expect of it. The options are the keyword-only parameters of ``fill``, named as torch names them.
    ``dims`` bounds the number of dimensions of a block that it can fill, ``fits(shape)`` asks for more, and ``fills``
    says in words what that is; ``only`` names the kinds of layers that it is for where the shape does not tell.
    ``check(options)`` returns what is wrong with options that are valid one by one. With ``own_biases`` the biases
    beside its weights are its own matter, and not zero. ``also`` names the other kinds of parameters
    that it speaks of (norm, scale), which start as their layers have them where a scheme does not.

    A scheme that treats parameters differently has ``choose(slot, **options)``, which returns the ``Use`` that fills
    the slot; the options are then those of ``choose``. Where that names the scheme itself, its own ``fill`` is called
    with the options of the ``Use``; a scheme made of others alone needs none.

    Every parameter is drawn from a generator of its own, or from the one of the name that ``drawn_as(slot)`` gives:
    parameters of one name see the same numbers, for what is made from one draw.

    A scheme that looks at training examples has ``fit(fitting, **options)`` beside ``choose``, with the same options;
    it is called once all parameters have the values that ``choose`` names, and changes those that it was chosen for.

    ``rate(slot, optimizer, **options)`` beside ``choose`` gives what multiplies the learning rate of a parameter, 0 or
    more.

    ``keeps`` says what stays constant from layer to layer, and through which activation. ``torch_call`` is Python that
    fills ``w`` alike, with ``{option}`` for values; where that takes more than a call, ``code(**options)`` returns the
    Python, with ``{fan_in}`` and ``{fan_out}`` for those of ``w``, and ``torch_call`` tells it in short. ``winit
    explain`` derives the rest from ``moments``. ``source`` is the SHA-256 of the code of a scheme that is not winit's
    own.
    """

    name: str
    fill: Callable[..., Any] = _through_others
    family: str = "plug-in"
    summary: str = ""
    formula: str = ""
    keeps: str = ""
    paper: str = ""
    torch_call: str = ""
    code: Callable[..., str] | None = None
    moments: Callable[..., Moments] = lambda shape, **options: Moments(std=None, mean=None)
    dims: tuple[int, int] = (0, 99)
    aliases: tuple[str, ...] = ()
    pitfalls: tuple[str, ...] = ()
    check: Callable[[Mapping[str, Any]], str | None] = lambda options: None
    own_biases: bool = False
    also: tuple[str, ...] = ()
    choose: Callable[..., Use] | None = None
    drawn_as: Callable[[Slot], str] = lambda slot: slot.name
    fit: Callable[..., None] | None = None
    rate: Callable[..., float] | None = None
    fits: Callable[[Sequence[int]], bool] = lambda shape: True
    fills: str = ""
    only: tuple[str, ...] = ()
    source: str = ""

    @property
    def options(self) -> type[Strict]:
        """The pydantic model of its options."""
        return options_of(self.choose or self.fill)

    @property
    def has_no_function(self) -> bool:
        """Whether it can fill nothing."""
        return self.choose is None and self.fill is _through_others

    @property
    def sees_layout(self) -> bool:
        """Whether it counts how torch lays out a weight, so that ``fan: torch`` means something."""
        return self.dims[0] > 1 or self.choose is not None

    @property
    def is_needed(self) -> bool:
        """Whether it means nothing without a parameter that its own function fills."""
        return self.choose is not None and self.fill is not _through_others

    @property
    def applies_to(self) -> str:
        """Which parameters it can fill, in words."""
        names = {
            (0, 99): "all weights and biases",
            (2, 99): "linear, conv, recurrent, embedding weights",
            (2, 2): "linear, recurrent, embedding weights",
            (3, 5): "conv weights",
        }
        return self.fills or names.get(self.dims, f"parameters of {self.dims[0]} to {self.dims[1]} dimensions")

    @property
    def layers(self) -> tuple[str, ...]:
        """The kinds of layers that it can fill a parameter of."""
        dims = {"linear": (2, 2), "conv": (3, 5), "recurrent": (2, 2), "embedding": (2, 2)}
        low, high = self.dims
        return self.only or tuple(kind for kind, (least, most) in dims.items() if low <= most and least <= high)

    def can_fill(self, shape: Sequence[int]) -> bool:
        """Whether a block of this shape is something it can fill."""
        return self.dims[0] <= len(shape) <= self.dims[1] and self.fits(shape)
