"""The multilayer perceptron of many trials, forward and backward in as few operations as there can be.

S trials in a stack, G inputs that they share, B batch, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from winit_cli.models.lift.linear import StackedLinear, product
from winit_cli.models.mlp import MLP

ops = torch.ops.aten


class Activation(NamedTuple):
    """A function in place, and its backward pass in place of the gradient, from the function's value."""

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


ACTIVATIONS: dict[str, Activation] = {
    "linear": Activation(lambda x: x, lambda grad, y: grad),
    "relu": Activation(
        lambda x: x.relu_(), lambda grad, y: cast(Tensor, ops.threshold_backward(grad, y, 0, grad_input=grad))
    ),
    "tanh": Activation(lambda x: x.tanh_(), lambda grad, y: cast(Tensor, ops.tanh_backward(grad, y, grad_input=grad))),
    "sigmoid": Activation(
        lambda x: x.sigmoid_(), lambda grad, y: cast(Tensor, ops.sigmoid_backward(grad, y, grad_input=grad))
    ),
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
        if not self._all[0].overwrites:
            return self._plain(x)
        anchor = self._all[-1].weight  # its node is why autograd calls the backward pass
        return cast(Tensor, _Chain.apply(x.flatten(-self._input_dims), anchor, self._all, self._activation))  # type: ignore[no-untyped-call]


class _Chain(torch.autograd.Function):
    """Linear layers with an activation between them; leaves the gradients in the ``.grad`` of their parameters."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, layers: Sequence[StackedLinear], activation: Activation) -> Tensor:
        ctx.inputs, ctx.layers, ctx.activation = [], layers, activation
        for layer in layers:
            x = activation.forward(x) if ctx.inputs else x
            ctx.inputs.append(x)
            x = product(x, layer)
        return x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, None, None]:
        (grad,) = grads
        for index in reversed(range(len(ctx.layers))):
            layer, x = ctx.layers[index], ctx.inputs[index]
            layer.write_gradients(x, grad)
            if index:
                grad = ctx.activation.backward(torch.bmm(grad, layer.weight), x)
        return None, None, None, None
