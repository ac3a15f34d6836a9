"""The multilayer perceptron of many trials, forward and backward in as few operations as there can be.

S trials in a stack, G inputs that they share, B batch, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from winit_cli.models.lift.linear import StackedLinear, Written
from winit_cli.models.lift.tanh import tanh
from winit_cli.models.mlp import MLP

# resolved once: finding the right form of an operation costs more than running it on small tensors
threshold_backward = torch.ops.aten.threshold_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input


class Activation(NamedTuple):
    """A function in place, and its backward pass in place of the gradient, from the function's value."""

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


ACTIVATIONS: dict[str, Activation] = {
    "linear": Activation(lambda x: x, lambda grad, y: grad),
    "relu": Activation(Tensor.relu_, lambda grad, y: threshold_backward(grad, y, 0, grad_input=grad)),
    "tanh": Activation(lambda x: tanh(x, out=x), lambda grad, y: tanh_backward(grad, y, grad_input=grad)),
    "sigmoid": Activation(Tensor.sigmoid_, lambda grad, y: sigmoid_backward(grad, y, grad_input=grad)),
}


class StackedMLP(nn.Module):
    """(S, B, …) → (S, B, C): without norms and with an activation of ``ACTIVATIONS``.

    Autograd sees it as one operation: with small networks its nodes for each layer cost as much as the products.
    """

    def __init__(self, lifted: MLP) -> None:
        super().__init__()
        self.layers, self.norms, self.head = lifted.layers, lifted.norms, lifted.head
        self._input_dims, self._plain = lifted.input_dims, lifted.forward
        self._activation = ACTIVATIONS[lifted.activation]
        self._all = [cast(StackedLinear, layer) for layer in (*self.layers, self.head)]

    def forward(self, x: Tensor) -> Tensor:
        to = [layer.written for layer in self._all if layer.written is not None]
        if not to:
            return self._plain(x)
        anchor = self._all[-1].weight  # its node is why autograd calls the backward pass
        layers = list(zip(self._all, to, strict=True))
        return cast(Tensor, _Chain.apply(x.flatten(-self._input_dims), anchor, layers, self._activation))  # type: ignore[no-untyped-call]


class _Chain(torch.autograd.Function):
    """Linear layers with an activation between them, whose backward pass leaves the gradients where they belong."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, anchor: Tensor, layers: Sequence[tuple[StackedLinear, Written]], activation: Activation
    ) -> Tensor:
        ctx.inputs, ctx.layers, ctx.activation = [], layers, activation
        for layer, to in layers:
            x = activation.forward(x) if ctx.inputs else x
            ctx.inputs.append(x)
            x = layer.product(x, to)
        return x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, None, None]:
        (grad,) = grads
        for index in reversed(range(len(ctx.layers))):
            (layer, to), x = ctx.layers[index], ctx.inputs[index]
            layer.write_gradients(x, grad, to)
            if index:
                grad = ctx.activation.backward(torch.bmm(grad, to.weight), x)
        return None, None, None, None
