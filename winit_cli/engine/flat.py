"""All parameters of a stack in one piece of memory. S trials, P numbers per trial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from winit_cli.models.lift import overwriting
from winit_cli.models.lift.twin import LINE


class Flat:
    """The parameters of a lifted model as one vector ``values``, and their gradients as another, ``grads``.

    A parameter of S trials is a block of it, and the model's parameters become views of the blocks, so that what an
    optimizer or a check does to all parameters is one operation. Gaps between the blocks stay zero.
    """

    def __init__(self, model: nn.Module, *, overwrites: bool) -> None:
        parameters = list(model.parameters())
        self.shapes = [parameter.shape for parameter in parameters]
        sizes = [math.ceil(parameter.numel() / LINE) * LINE for parameter in parameters]
        self._starts = [sum(sizes[:i]) for i in range(len(sizes))]
        self.values = parameters[0].new_zeros(sum(sizes), requires_grad=False)
        self.grads = torch.zeros_like(self.values)
        layers = overwriting(model) if overwrites else []
        written = {parameter for layer in layers for parameter in layer.parameters()}
        self._others = []
        for parameter, value, grad in zip(parameters, self.blocks(self.values), self.blocks(self.grads), strict=True):
            parameter.data = value.copy_(parameter.detach())
            if parameter in written:
                parameter.grad = grad
            else:
                self._others.append((parameter, grad))
        for layer in layers:
            layer.overwrite()

    def blocks(self, vector: Tensor) -> list[Tensor]:
        """The parts (S, …) of a vector like ``values``, as views in the shapes of the parameters."""
        places = zip(self._starts, self.shapes, strict=True)
        return [vector[start : start + shape.numel()].view(shape) for start, shape in places]

    def of_trial(self, vector: Tensor, place: int) -> Tensor:
        """What a vector like ``values`` holds of the trial at a place, (P,)."""
        return torch.cat([block[place].flatten() for block in self.blocks(vector)])

    def joined(self, parts: Sequence[Tensor]) -> Tensor:
        """A vector like ``values`` from what it holds of every trial, S of (P,)."""
        vector = torch.zeros_like(self.values)
        sizes = [shape[1:].numel() for shape in self.shapes]
        for place, part in enumerate(parts):
            for block, numbers in zip(self.blocks(vector), torch.split(part, sizes), strict=True):
                block[place] = numbers.view(block.shape[1:])
        return vector

    def backward(self, loss: Tensor) -> None:
        """The gradients of a loss, in place of those before."""
        loss.backward()  # type: ignore[no-untyped-call]
        for parameter, block in self._others:
            block.copy_(cast(Tensor, parameter.grad))
            parameter.grad = None

    def norms(self) -> Tensor:
        """L2 norms of the gradient of each parameter, in double precision: (S, parameters)."""
        squares = self.grads.to(torch.float64, copy=True).square_()
        return torch.stack([block.flatten(1).sum(1) for block in self.blocks(squares)], 1).sqrt_()

    def clip(self, most: float) -> None:
        """Scale the gradients of each trial to a norm of at most ``most``, as ``torch.nn.utils.clip_grad_norm_``."""
        blocks = [block.flatten(1) for block in self.blocks(self.grads)]
        norms = torch.stack([torch.linalg.vector_norm(block, dim=1) for block in blocks], 1)
        factor = (most / (torch.linalg.vector_norm(norms, dim=1, keepdim=True) + 1e-6)).clamp(max=1.0)
        for block in blocks:
            block.mul_(factor)
