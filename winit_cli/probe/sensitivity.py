"""How the output depends on the input, and the gradient on the weights. These belong to the whole module: they stand in
the rows of its last layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from torch import Tensor, nn

from winit_cli.probe.calling import Loss, first_tensor, forward, loss_of
from winit_cli.probe.jacobian import Spectrum, spectrum
from winit_cli.probe.layers import Layer
from winit_cli.probe.measured import Row
from winit_cli.schemes.quotient import gradient_quotient

JACOBIAN_EXAMPLES = 8  # their spectra are alike: the weights decide
QUOTIENT_EXAMPLES = 64  # second derivatives take four times as long as first ones
UNKNOWN = Spectrum(math.nan, math.nan, math.nan, math.nan)


def jacobian(module: nn.Module, first: Layer, x: Tensor) -> Spectrum:
    """With respect to the first 8 of the inputs x; where these are tokens, to what the first layer makes of them."""
    x = x[:JACOBIAN_EXAMPLES]
    function, at = (lambda some: first_tensor(module(some), module)), x
    if not x.is_floating_point():
        at = first.outputs[0].detach()[: len(x)]
        function = _after(first.module, module, x)
    try:
        return spectrum(function, at)
    except RuntimeError:  # no second derivative, or the output does not depend on the input in torch's eyes
        return UNKNOWN


def _after(first: nn.Module, module: nn.Module, x: Tensor) -> Callable[[Tensor], Tensor]:
    """The module as a function of what its first layer gives."""

    def function(given: Tensor) -> Tensor:
        handle = first.register_forward_hook(lambda *_: given)
        try:
            return first_tensor(module(x[:1].expand(len(given), *x.shape[1:])), module)
        finally:
            handle.remove()

    return function


def jacobian_rows(found: Spectrum, last: Layer) -> Iterator[Row]:
    """The moments of a spectrum."""
    for name in ("mean", "var", "max"):
        yield Row(last.path, last.depth, f"jacobian_sq_sv_{name}", getattr(found, name))
    yield Row(last.path, last.depth, "jacobian_condition", found.condition)


def quotient_row(module: nn.Module, last: Layer, x: Tensor, y: Tensor | None, loss: Loss) -> Row:
    """The gradient quotient on the first 64 examples."""
    x, y = x[:QUOTIENT_EXAMPLES], None if y is None else y[:QUOTIENT_EXAMPLES]
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    quotient = gradient_quotient(lambda: loss_of(loss, forward(module, x), y), trained)
    return Row(last.path, last.depth, "gradient_quotient", quotient)
