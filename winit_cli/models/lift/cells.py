"""One time step of recurrent cells, forward and backward, in memory that holds all time steps.

S trials, T time, B batch, H hidden size. A cell's gates (T, S, B, rows · H) come first as the product left them; it
works in place of them. Its states are T + 1 tensors (S, B, H), the first of them zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from winit_cli.models.lift.tanh import tanh

# resolved once: finding the right form of an operation costs more than running it on small tensors
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input
threshold_backward = torch.ops.aten.threshold_backward.grad_input


class Cell(Protocol):
    """The first ``shared`` of its ``rows`` of gates add what input and state contribute."""

    shared: int
    rows: int

    def __init__(self, gates: Tensor, states: Sequence[Tensor], hidden: int) -> None: ...

    def forward(self, step: int) -> None:
        """From the gates of a step to the state behind it."""

    def prepare(self, gradients: Tensor) -> None:
        """Take the memory (S, T, B, rows · H) that the gradients of the gates go to."""

    def backward(self, step: int, grad: Tensor) -> tuple[Tensor, Tensor | None]:
        """The gradient of a step's gates, and what reaches the state before on another way (S, B, H), from the gradient
        of the state behind it, which may be overwritten."""


class Elman:
    """h = tanh(gate) (Elman 1990)."""

    shared = rows = 1

    def __init__(self, gates: Tensor, states: Sequence[Tensor], hidden: int) -> None:
        self.gates, self.states = gates.unbind(), states

    def forward(self, step: int) -> None:
        tanh(self.gates[step], out=self.states[step + 1])

    def prepare(self, gradients: Tensor) -> None:
        self.into = gradients.unbind(1)

    def backward(self, step: int, grad: Tensor) -> tuple[Tensor, None]:
        tanh_backward(grad, self.states[step + 1], grad_input=self.into[step])
        return self.into[step], None


class ElmanRelu(Elman):
    """h = relu(gate)."""

    def forward(self, step: int) -> None:
        torch.clamp_min(self.gates[step], 0, out=self.states[step + 1])

    def backward(self, step: int, grad: Tensor) -> tuple[Tensor, None]:
        threshold_backward(grad, self.states[step + 1], 0, grad_input=self.into[step])
        return self.into[step], None


class LSTM:
    """c = f c' + i g, h = o tanh(c), gates i, f, g, o (Hochreiter & Schmidhuber 1997)."""

    shared = rows = 4

    def __init__(self, gates: Tensor, states: Sequence[Tensor], hidden: int) -> None:
        self.states = states
        self.i, self.f, self.g, self.o = (gate.unbind() for gate in torch.split(gates, hidden, -1))
        self.i_and_f = gates[..., : 2 * hidden].unbind()
        shape = (gates.shape[0], *gates.shape[1:3], hidden)
        self.cells, self.bounded = gates.new_empty(shape).unbind(), gates.new_empty(shape).unbind()

    def forward(self, step: int) -> None:
        self.i_and_f[step].sigmoid_()
        g, o, cell, bounded = self.g[step], self.o[step].sigmoid_(), self.cells[step], self.bounded[step]
        tanh(g, out=g)
        torch.mul(self.i[step], g, out=cell)
        if step:
            cell.addcmul_(self.f[step], self.cells[step - 1])
        tanh(cell, out=bounded)
        torch.mul(o, bounded, out=self.states[step + 1])

    def prepare(self, gradients: Tensor) -> None:
        self.into = gradients.unbind(1)
        hidden = self.cells[0].shape[-1]
        self.of_i, self.of_f, self.of_g, self.of_o = (part.unbind(1) for part in torch.split(gradients, hidden, -1))
        self.of_cell, self.spare = torch.zeros_like(self.cells[0]), torch.empty_like(self.cells[0])

    def backward(self, step: int, grad: Tensor) -> tuple[Tensor, None]:
        i, f, g, o, bounded = self.i[step], self.f[step], self.g[step], self.o[step], self.bounded[step]
        of_cell, spare = self.of_cell, self.spare
        if step == len(self.cells) - 1:
            of_cell.zero_()
        sigmoid_backward(torch.mul(grad, bounded, out=spare), o, grad_input=self.of_o[step])
        of_cell.add_(tanh_backward(grad.mul_(o), bounded, grad_input=spare))
        sigmoid_backward(torch.mul(of_cell, g, out=spare), i, grad_input=self.of_i[step])
        tanh_backward(torch.mul(of_cell, i, out=spare), g, grad_input=self.of_g[step])
        if step:
            sigmoid_backward(torch.mul(of_cell, self.cells[step - 1], out=spare), f, grad_input=self.of_f[step])
            of_cell.mul_(f)
        else:
            self.of_f[step].zero_()
        return self.into[step], None


class GRU:
    """n = tanh(x_n + r h_n), h = n + z (h' - n), gates r, z, x_n, h_n (Cho et al. 2014, as torch has it)."""

    shared, rows = 2, 4

    def __init__(self, gates: Tensor, states: Sequence[Tensor], hidden: int) -> None:
        self.states = states
        self.r, self.z, self.n, self.product = (gate.unbind() for gate in torch.split(gates, hidden, -1))
        self.r_and_z = gates[..., : 2 * hidden].unbind()

    def forward(self, step: int) -> None:
        self.r_and_z[step].sigmoid_()
        n = self.n[step].addcmul_(self.r[step], self.product[step])
        tanh(n, out=n)
        torch.lerp(n, self.states[step], self.z[step], out=self.states[step + 1])

    def prepare(self, gradients: Tensor) -> None:
        self.into = gradients.unbind(1)
        hidden = self.n[0].shape[-1]
        self.of_r, self.of_z, self.of_n, self.of_product = (
            part.unbind(1) for part in torch.split(gradients, hidden, -1)
        )
        self.kept, self.spare = torch.empty_like(self.states[0]), torch.empty_like(self.states[0])

    def backward(self, step: int, grad: Tensor) -> tuple[Tensor, Tensor]:
        r, z, n, kept, spare = self.r[step], self.z[step], self.n[step], self.kept, self.spare
        torch.sub(self.states[step], n, out=spare)
        sigmoid_backward(spare.mul_(grad), z, grad_input=self.of_z[step])
        torch.mul(grad, z, out=kept)
        of_n = tanh_backward(torch.sub(grad, kept, out=spare), n, grad_input=self.of_n[step])
        sigmoid_backward(torch.mul(of_n, self.product[step], out=spare), r, grad_input=self.of_r[step])
        torch.mul(of_n, r, out=self.of_product[step])
        return self.into[step], kept


CELLS: dict[str, type[Cell]] = {"LSTM": LSTM, "GRU": GRU, "RNN_TANH": Elman, "RNN_RELU": ElmanRelu}
