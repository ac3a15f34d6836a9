"""One time step of recurrent cells, forward and backward, on slices of tensors that hold all time steps.

S trials, T time, B batch, H hidden size, K · H gates as torch packs them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input
threshold_backward = torch.ops.aten.threshold_backward.grad_input


class Cell(Protocol):
    """Made from the gates (S, T, B, K · H) that hold what the inputs contribute; it works in place of them."""

    states: Tensor
    """(S, T, B, H)"""
    carries: bool
    """Whether a part of the gradient reaches the step before without a product: ``carried`` (S, B, H)."""
    carried: Tensor

    def add_bias(self, of_inputs: Tensor, of_states: Tensor) -> None:
        """Add the biases (S, K · H) of all time steps."""

    def forward(self, step: int, contribution: Tensor | None) -> None:
        """Compute a step from what the state before contributes to the gates (S, B, K · H); none at the first."""

    def backward(self, step: int, grad: Tensor) -> Tensor:
        """The gradient of that contribution, from the gradient of the state (S, B, H), which may be overwritten."""

    @property
    def gradients(self) -> tuple[Tensor, Tensor]:
        """After all steps: the gradients of what inputs and states contributed to the gates, (S, T, B, K · H)."""


class Elman:
    """h = f(x + r), f being tanh or relu (Elman 1990)."""

    carries = False
    carried: Tensor

    def __init__(self, gates: Tensor, hidden: int, *, is_relu: bool) -> None:
        self.states, self.is_relu = gates, is_relu

    def add_bias(self, of_inputs: Tensor, of_states: Tensor) -> None:
        self.states.add_((of_inputs + of_states)[:, None, None])

    def forward(self, step: int, contribution: Tensor | None) -> None:
        state = self.states[:, step]
        if contribution is not None:
            state.add_(contribution)
        state.relu_() if self.is_relu else state.tanh_()

    def backward(self, step: int, grad: Tensor) -> Tensor:
        if step == self.states.shape[1] - 1:
            self._gradients = torch.empty_like(self.states)
        into = self._gradients[:, step]
        if self.is_relu:
            threshold_backward(grad, self.states[:, step], 0, grad_input=into)
        else:
            tanh_backward(grad, self.states[:, step], grad_input=into)
        return into

    @property
    def gradients(self) -> tuple[Tensor, Tensor]:
        return self._gradients, self._gradients


class LSTM:
    """c = f c' + i g, h = o tanh(c), gates i, f, g, o (Hochreiter & Schmidhuber 1997)."""

    carries = False
    carried: Tensor

    def __init__(self, gates: Tensor, hidden: int) -> None:
        self.gates, self.hidden = gates, hidden
        self.states, self.cells, self.bounded = (gates.new_empty(*gates.shape[:3], hidden) for _ in range(3))

    def add_bias(self, of_inputs: Tensor, of_states: Tensor) -> None:
        self.gates.add_((of_inputs + of_states)[:, None, None])

    def forward(self, step: int, contribution: Tensor | None) -> None:
        gates, n = self.gates[:, step], self.hidden
        if contribution is not None:
            gates.add_(contribution)
        gates[..., : 2 * n].sigmoid_()
        gates[..., 2 * n : 3 * n].tanh_()
        gates[..., 3 * n :].sigmoid_()
        i, f, g, o = gates.split(n, -1)
        cell, bounded = self.cells[:, step], self.bounded[:, step]
        torch.mul(i, g, out=cell)
        if step:
            cell.addcmul_(f, self.cells[:, step - 1])
        torch.tanh(cell, out=bounded)
        torch.mul(o, bounded, out=self.states[:, step])

    def backward(self, step: int, grad: Tensor) -> Tensor:
        last = step == self.gates.shape[1] - 1
        if last:
            self._gradients, self._of_cell = torch.empty_like(self.gates), torch.zeros_like(grad)
            self._spare = torch.empty_like(grad)
        i, f, g, o = self.gates[:, step].split(self.hidden, -1)
        into, bounded, of_cell, spare = self._gradients[:, step], self.bounded[:, step], self._of_cell, self._spare
        of_i, of_f, of_g, of_o = into.split(self.hidden, -1)
        sigmoid_backward(torch.mul(grad, bounded, out=spare), o, grad_input=of_o)
        of_cell.add_(tanh_backward(grad.mul_(o), bounded, grad_input=spare))
        sigmoid_backward(torch.mul(of_cell, g, out=spare), i, grad_input=of_i)
        tanh_backward(torch.mul(of_cell, i, out=spare), g, grad_input=of_g)
        if step:
            sigmoid_backward(torch.mul(of_cell, self.cells[:, step - 1], out=spare), f, grad_input=of_f)
            of_cell.mul_(f)
        else:
            of_f.zero_()
        return into

    @property
    def gradients(self) -> tuple[Tensor, Tensor]:
        return self._gradients, self._gradients


class GRU:
    """n = tanh(x_n + r h_n), h = n + z (h' - n), gates r, z, n (Cho et al. 2014, as torch has it)."""

    carries = True

    def __init__(self, gates: Tensor, hidden: int) -> None:
        self.gates, self.hidden = gates, hidden
        self.states, self.products = (gates.new_empty(*gates.shape[:3], hidden) for _ in range(2))

    def add_bias(self, of_inputs: Tensor, of_states: Tensor) -> None:
        two = 2 * self.hidden
        self.gates[..., :two].add_((of_inputs + of_states)[:, None, None, :two])
        self.gates[..., two:].add_(of_inputs[:, None, None, two:])
        self._bias = of_states[:, None, two:]

    def forward(self, step: int, contribution: Tensor | None) -> None:
        gates, two = self.gates[:, step], 2 * self.hidden
        product, state = self.products[:, step], self.states[:, step]
        if contribution is None:
            product.copy_(self._bias.expand_as(product))
        else:
            gates[..., :two].add_(contribution[..., :two])
            torch.add(contribution[..., two:], self._bias, out=product)
        gates[..., :two].sigmoid_()
        r, z, n = gates.split(self.hidden, -1)
        n.addcmul_(r, product).tanh_()
        if step:
            torch.lerp(n, self.states[:, step - 1], z, out=state)
        else:
            torch.addcmul(n, z, n, value=-1, out=state)

    def backward(self, step: int, grad: Tensor) -> Tensor:
        if step == self.gates.shape[1] - 1:
            self._of_inputs, self._of_states = torch.empty_like(self.gates), torch.empty_like(self.gates)
            self._spare = torch.empty_like(grad)
        two, spare = 2 * self.hidden, self._spare
        r, z, n = self.gates[:, step].split(self.hidden, -1)
        of_inputs, of_states = self._of_inputs[:, step], self._of_states[:, step]
        of_r, of_z, of_n = of_inputs.split(self.hidden, -1)
        change = torch.sub(self.states[:, step - 1], n) if step else n.neg()
        sigmoid_backward(change.mul_(grad), z, grad_input=of_z)
        self.carried = torch.mul(grad, z)
        tanh_backward(torch.sub(grad, self.carried, out=spare), n, grad_input=of_n)
        sigmoid_backward(torch.mul(of_n, self.products[:, step], out=spare), r, grad_input=of_r)
        of_states[..., :two].copy_(of_inputs[..., :two])
        torch.mul(of_n, r, out=of_states[..., two:])
        return of_states

    @property
    def gradients(self) -> tuple[Tensor, Tensor]:
        return self._of_inputs, self._of_states


CELLS: dict[str, Callable[[Tensor, int], Cell]] = {
    "LSTM": LSTM,
    "GRU": GRU,
    "RNN_TANH": lambda gates, hidden: Elman(gates, hidden, is_relu=False),
    "RNN_RELU": lambda gates, hidden: Elman(gates, hidden, is_relu=True),
}
