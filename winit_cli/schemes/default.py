"""What PyTorch itself does: each module's ``reset_parameters``, or the weights its constructor made."""

from __future__ import annotations

from typing import Any

from torch import Generator, Tensor

from winit_cli.schemes.row import Scheme
from winit_cli.theory.moments import Moments


def from_module(tensor: Tensor, generator: Generator) -> None:
    """Filled by ``winit_cli.schemes.apply``, which knows the module that owns the parameter."""
    raise AssertionError("a module's own initialization has no formula for a single tensor")


def _by_layer(shape: Any) -> Moments:
    """Depends on the kind of layer, not on the shape alone: see ``winit_cli.schemes.audit``."""
    return Moments(std=None, mean=None)


SCHEMES = (
    Scheme(
        name="pytorch_default",
        family="default",
        summary="what each layer's reset_parameters does, biases included",
        formula="Linear, Conv: W, b ~ U(±1/sqrt(fan_in)); LSTM, GRU, RNN: U(±1/sqrt(hidden)); Embedding: N(0, 1)",
        keeps="nothing: through relu the mean square falls to a sixth per layer, down to what the biases hold up",
        paper="PyTorch's own layers; the width is LeCun 1998's divided by sqrt(3)",
        torch_call="module.reset_parameters()",
        fill=from_module,
        moments=_by_layer,
        aliases=("default", "pytorch", "torch_default"),
        own_biases=True,
        pitfalls=(
            "The gain is 1/sqrt(3), not sqrt(2): in a deep relu net the signal shrinks by about 0.41 a layer.",
            "Biases are random too; use bias: zeros to set them apart.",
        ),
    ),
    Scheme(
        name="as_built",
        family="default",
        summary="the weights that the model's constructor made, seeded by the trial",
        formula="whatever __init__ wrote",
        keeps="what the constructor meant; a layer of torch's own starts as pytorch_default",
        paper="the model's own code",
        torch_call="model = Model()",
        fill=from_module,
        moments=_by_layer,
        own_biases=True,
    ),
)
