"""The backward pass: one for all gradients that are looked at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from winit_cli.errors import UsageError
from winit_cli.foreign import blaming
from winit_cli.probe.layers import Layer
from winit_cli.probe.measured import Row
from winit_cli.schemes.slots import ROOT


@dataclass(frozen=True)
class Gradients:
    """Of the loss, with respect to what layers gave (by ``id`` of the tensor), unless nothing before it trains, and to
    parameters that train (by name)."""

    given: dict[int, Tensor]
    parameters: dict[str, Tensor]

    def has(self, tensor: Tensor) -> bool:
        """Whether there is one with respect to what a layer gave."""
        return id(tensor) in self.given

    def reach(self, layer: Layer) -> bool:
        """Whether there is one with respect to anything that a layer gave."""
        return any(map(self.has, _given(layer)))

    def of(self, tensor: Tensor) -> Tensor:
        """With respect to what a layer gave; zeros where the loss does not depend on it."""
        found = self.given.get(id(tensor))
        return torch.zeros_like(tensor) if found is None else found

    def norm(self, *tensors: Tensor | None) -> float:
        """L2 norm of those with respect to all these."""
        squares = [
            torch.linalg.vector_norm(self.of(t), dtype=torch.float64).item() ** 2 for t in tensors if t is not None
        ]
        return math.sqrt(sum(squares))


def gradients_of(loss: Tensor, layers: Sequence[Layer], module: nn.Module) -> Gradients:
    """All gradients of a loss that are looked at; none of a module that does not train.

    Raises:
        UsageError: the loss does not depend on any parameter that trains; ForeignError where the backward pass raised
            an error.
    """
    parameters = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    if not parameters:
        return Gradients({}, {})
    gave = [out for layer in layers for out in _given(layer) if out.requires_grad]
    found: Sequence[Tensor | None] = []
    if loss.requires_grad:
        with blaming("the backward pass"):
            found = torch.autograd.grad(loss, [*gave, *parameters.values()], allow_unused=True)
        found = [gradient.to_dense() if gradient is not None and gradient.is_sparse else gradient for gradient in found]
    of_parameters = found[len(gave) :]
    if all(gradient is None for gradient in of_parameters):
        raise UsageError(
            "the loss does not depend on any parameter that trains: the output or the loss was detached, or made "
            f"without {type(module).__name__}; nothing would be learned"
        )
    given = {id(out): gradient for out, gradient in zip(gave, found, strict=False) if gradient is not None}
    pairs = zip(parameters.items(), of_parameters, strict=True)
    return Gradients(given, {n: torch.zeros_like(p) if gradient is None else gradient for (n, p), gradient in pairs})


def _given(layer: Layer) -> Iterator[Tensor]:
    """What a layer gave: its outputs and last states."""
    yield from layer.outputs
    yield from (t for call in layer.calls for t in (call.last_states, call.last_cells) if t is not None)


def gradient_rows(gradients: Gradients, layers: Sequence[Layer], depths: Mapping[str, int]) -> Iterator[Row]:
    """L2 norms of ``dL/dz`` of each layer (the delta of Schoenholz et al. 2017, arXiv:1611.01232), under the layer's
    path, and of ``dL/dW`` of each parameter that trains, under its name."""
    for layer in layers:
        gave = [*layer.outputs, *(call.last_states for call in layer.calls if call.last_states is not None)]
        if any(map(gradients.has, gave)):
            yield Row(layer.path, layer.depth, "grad_norm", gradients.norm(*gave))
    for name, gradient in gradients.parameters.items():
        norm = torch.linalg.vector_norm(gradient, dtype=torch.float64).item()
        yield Row(name, depths.get(owner(name, depths), 1), "grad_norm", norm)


def owner(parameter: str, depths: Mapping[str, int]) -> str:
    """The path of the innermost module around a parameter that was called; empty for the whole module."""
    around, _, parametrized = parameter.partition("parametrizations.")
    path = around.rstrip(".") if parametrized else parameter.rpartition(".")[0]
    while path and path not in depths:
        path = path.rpartition(".")[0]
    return path


def weight_gradients(
    gradients: Gradients, layers: Sequence[Layer], depths: Mapping[str, int]
) -> dict[Layer, dict[str, Tensor]]:
    """The gradients of the matrices that belong to each layer, by the name that it has for them."""
    own: dict[str, dict[str, Tensor]] = {layer.path: {} for layer in layers}
    for name, gradient in gradients.parameters.items():
        path = owner(name, depths) or ROOT
        if gradient.dim() > 1 and path in own:
            own[path][name.removeprefix(f"{path}.")] = gradient
    return {layer: own[layer.path] for layer in layers}
