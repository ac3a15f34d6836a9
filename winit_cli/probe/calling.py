"""Call a user's module and loss. Their faults are told with their file and line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from winit_cli.errors import UsageError
from winit_cli.foreign import blaming

Loss = Callable[[Tensor, Any], Tensor]


def check_examples(x: Tensor) -> None:
    """Refuse inputs (B, …) of which no network could learn anything.

    Raises:
        UsageError: all examples are equal, or the only one is zero.
    """
    is_one = bool((x == x[:1]).all())
    if is_one and (len(x) > 1 or not x.any()):
        what = "are zero everywhere" if not x.any() and x.is_floating_point() else "are equal"
        raise UsageError(
            f"all {len(x)} examples {what}, so nothing could be told apart whatever the weights are: look at the data, "
            "and give examples that differ"
        )


def forward(module: nn.Module, x: Tensor) -> Tensor:
    """The output of a module, or the first of several.

    Raises:
        UsageError: it is no tensor; ForeignError where the module raised an error.
    """
    with blaming(f"forward of {type(module).__name__}, called with one tensor of shape {tuple(x.shape)},"):
        return first_tensor(module(x.clone()), module)


def loss_of(loss: Loss, out: Tensor, y: Tensor | None) -> Tensor:
    """The loss of an output.

    Raises:
        UsageError: it is not one number; ForeignError where the loss raised an error.
    """
    with blaming("the loss"):
        value = loss(out, y)
    if not isinstance(value, Tensor) or value.dim() != 0:
        raise UsageError(
            f"the loss gave {type(value).__name__}, expected a tensor with one number, the mean over examples"
        )
    return value


def first_tensor(out: object, module: nn.Module) -> Tensor:
    """What a module returned, or the first of several."""
    first = out[0] if isinstance(out, tuple) and out else out
    if not isinstance(first, Tensor):
        kind = type(first).__name__
        raise UsageError(
            f"{type(module).__name__} returned a {kind}, expected a tensor; wrap it in a module that gives one"
        )
    return first
