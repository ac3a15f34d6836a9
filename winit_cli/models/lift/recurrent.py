"""Recurrent layers of many trials, with their backward passes through time.

S trials in a stack, G inputs that they share, B batch, T time, D features, H hidden size, K · H gates as torch packs
them, M rows of the matrix that gives all of them. A state and the next input lie side by side, with a one for the bias,
so that one product per time step gives all gates, and one over all time steps all gradients of the parameters. Autograd
sees a layer as one operation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from winit_cli.models.lift.cells import CELLS, Cell
from winit_cli.models.lift.twin import LINE, Run, Twin


class Weights(NamedTuple):
    """Parameters of one layer: input weights (S, K · H, D), recurrent weights (S, K · H, H), biases (S, K · H)."""

    inputs: Tensor
    states: Tensor
    input_bias: Tensor
    state_bias: Tensor


class StackedRecurrent(Twin):
    """(S, B, T, D) → (S, B, T, H) by one product per time step for all trials.

    It works after ``overwrite``: gradients are written into the ``.grad`` of the parameters, over what stands there.
    """

    def __init__(self, layers: Sequence[nn.RNNBase], runs: Sequence[Run]) -> None:
        super().__init__(layers, runs)
        self.layers, self.hidden, self.cell = layers[0].num_layers, layers[0].hidden_size, CELLS[layers[0].mode]
        self._written: list[tuple[Weights, Weights]] = []
        self._kept: dict[int, _Memory] = {}

    def overwrite(self) -> None:
        """Write gradients into the ``.grad`` that the parameters have; both must stay where they are in memory."""
        for layer in range(self.layers):
            own = self._parameters_of(layer)
            self._written.append((Weights(*[p.detach() for p in own]), Weights(*[cast(Tensor, p.grad) for p in own])))

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        x = x.transpose(1, 2)
        for layer, (weights, grads) in enumerate(self._written):
            anchor = self._parameters_of(layer).states  # its node is why autograd calls the backward pass
            memory = self._memory(layer, x)
            for row, (start, end) in zip(x, self.runs_of(x), strict=True):
                memory.x[start:end] = row.detach()
            x = cast(Tensor, _Layer.apply(x, anchor, weights, grads, memory))  # type: ignore[no-untyped-call]
        return x.transpose(1, 2), None

    def _parameters_of(self, layer: int) -> Weights:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return Weights(*[cast(Tensor, getattr(self, f"{name}_l{layer}")) for name in names])

    def _memory(self, layer: int, x: Tensor) -> _Memory:
        """What a layer computes with; the same from step to step, as fresh memory has to be mapped by the system."""
        kept = self._kept.get(layer)
        if kept is not None and kept.x.shape[1:] == x.shape[1:] and self.training:
            return kept
        memory = _Memory(x.new_empty(0), (self.trials, *x.shape[1:]), self.hidden, self.cell)
        if self.training:
            self._kept[layer] = memory
        return memory


class LoneLSTM(Twin):
    """(1, B, T, D) → (1, B, T, H) by torch's kernel: the fastest on a processor if there is one trial."""

    def __init__(self, layers: Sequence[nn.LSTM], runs: Sequence[Run]) -> None:
        super().__init__(layers, runs)
        self.layers, self.hidden = layers[0].num_layers, layers[0].hidden_size

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        weights = [parameter.squeeze(0) for parameter in self.parameters()]
        start = x.new_zeros(self.layers, x.shape[1], self.hidden)
        out = torch.lstm(
            x.squeeze(0).contiguous(), (start, start), weights, True, self.layers, 0.0, self.training, False, True
        )
        return out[0].unsqueeze(0), None


class _Memory:
    """All numbers of one layer in one pass. ``rows`` (S, T + 1, B, D + H + 1) hold inputs, states and ones."""

    def __init__(self, like: Tensor, shape: tuple[int, ...], hidden: int, cell: type[Cell]) -> None:
        trials, time, batch, features = shape
        self.bounds = (features, features + hidden)
        width = math.ceil((features + hidden + 1) / LINE) * LINE
        self.rows = like.new_zeros(trials, time + 1, batch, width)
        self.rows[..., self.bounds[1]] = 1
        self.x = self.rows[:, :-1, :, :features]
        self.used = self.rows[:, :-1].flatten(1, 2)
        self.before = self.rows[:, :-1].unbind(1)
        self.shared = cell.shared * hidden
        self.matrix = like.new_zeros(trials, cell.rows * hidden, width)
        self.of_states = self.matrix[:, :, slice(*self.bounds)]
        self.gates = like.new_empty(time, trials, batch, cell.rows * hidden)
        self.states = self.rows[..., slice(*self.bounds)].unbind(1)
        self.cell = cell(self.gates, self.states, hidden)
        self.gradients: Tensor | None = None

    def output(self) -> Tensor:
        """The states (S, T, B, H)."""
        return self.rows[:, 1:, :, slice(*self.bounds)]

    def pack(self, weights: Weights) -> None:
        """Put the parameters into the matrix: gates that add both contributions, only inputs', only states'."""
        first, last = self.bounds
        gates, shared = weights.inputs.shape[1], self.shared
        self.matrix[:, :gates, :first] = weights.inputs
        self.matrix[:, :gates, last] = weights.input_bias
        self.matrix[:, :shared, first:last] = weights.states[:, :shared]
        self.matrix[:, :shared, last] += weights.state_bias[:, :shared]
        self.matrix[:, gates:, first:last] = weights.states[:, shared:]
        self.matrix[:, gates:, last] = weights.state_bias[:, shared:]

    def unpack(self, grad: Tensor, to: Weights) -> None:
        """The gradients of the parameters from that of the matrix."""
        first, last = self.bounds
        gates, shared = to.inputs.shape[1], self.shared
        to.inputs.copy_(grad[:, :gates, :first])
        to.input_bias.copy_(grad[:, :gates, last])
        to.states[:, :shared] = grad[:, :shared, first:last]
        to.state_bias[:, :shared] = grad[:, :shared, last]
        to.states[:, shared:] = grad[:, gates:, first:last]
        to.state_bias[:, shared:] = grad[:, gates:, last]


class _Layer(torch.autograd.Function):
    """(G, T, B, D), which its memory holds already → (S, T, B, H)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, weights: Weights, grads: Weights, memory: _Memory) -> Tensor:
        memory.pack(weights)
        transposed = memory.matrix.mT
        for step, (before, gates) in enumerate(zip(memory.before, memory.gates, strict=True)):
            torch.bmm(before, transposed, out=gates)
            memory.cell.forward(step)
        ctx.weights, ctx.grads, ctx.memory = weights, grads, memory
        return memory.output()

    @staticmethod
    def backward(ctx: Any, *outside: Tensor) -> tuple[Tensor | None, None, None, None, None]:
        memory, (grad,) = ctx.memory, outside
        if memory.gradients is None:
            memory.gradients = torch.empty_like(memory.gates.transpose(0, 1), memory_format=torch.contiguous_format)
            memory.cell.prepare(memory.gradients)
        later = torch.zeros_like(grad[:, 0], memory_format=torch.contiguous_format)
        of_steps = grad.unbind(1)
        for step in reversed(range(len(memory.gates))):
            of_gates, kept = memory.cell.backward(step, later.add_(of_steps[step]))
            if step:
                later = torch.bmm(of_gates, memory.of_states)
                later = later if kept is None else later.add_(kept)
        of_all = memory.gradients.flatten(1, 2)
        memory.unpack(torch.bmm(of_all.mT, memory.used), ctx.grads)
        if not ctx.needs_input_grad[0]:
            return None, None, None, None, None
        of_x = torch.bmm(of_all, memory.matrix[:, :, : memory.bounds[0]])
        return of_x.view(-1, *memory.x.shape[1:3], of_x.shape[-1]), None, None, None, None
