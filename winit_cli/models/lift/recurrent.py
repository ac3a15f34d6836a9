"""Recurrent layers of many trials, with their backward passes through time.

S trials in a stack, G inputs that they share, B batch, T time, D features, H hidden size, K · H gates. All of time lies
in one tensor (S, T, B, …), so that inputs and weights meet in one product for all time steps, and what belongs to one
step is a view of it. Autograd sees a layer as one operation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from winit_cli.models.lift.cells import CELLS, Cell
from winit_cli.models.lift.twin import Run, Twin


class Weights(NamedTuple):
    """Parameters of one layer: input weights (S, K · H, D), recurrent weights (S, K · H, H), biases (S, K · H)."""

    inputs: Tensor
    recurrent: Tensor
    input_bias: Tensor
    recurrent_bias: Tensor


class StackedRecurrent(Twin):
    """(S, B, T, D) → (S, B, T, H) by one product per time step for all trials.

    After ``overwrite`` gradients are written into the ``.grad`` that the parameters have, over what stands there.
    """

    def __init__(self, layers: Sequence[nn.RNNBase], runs: Sequence[Run]) -> None:
        super().__init__(layers, runs)
        self.layers, self.hidden, self.cell = layers[0].num_layers, layers[0].hidden_size, CELLS[layers[0].mode]
        self._written: list[tuple[Weights, Weights]] = []

    def overwrite(self) -> None:
        """Write gradients into the ``.grad`` that the parameters have; both must stay where they are in memory."""
        for layer in range(self.layers):
            own = self._parameters_of(layer)
            self._written.append((Weights(*[p.detach() for p in own]), Weights(*[cast(Tensor, p.grad) for p in own])))

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        x = x.transpose(1, 2)
        for layer, (weights, grads) in enumerate(self._written):
            anchor = self._parameters_of(layer).recurrent  # its node is why autograd calls the backward pass
            x = cast(Tensor, _Layer.apply(x, anchor, weights, grads, self))  # type: ignore[no-untyped-call]
        return x.transpose(1, 2), None

    def _parameters_of(self, layer: int) -> Weights:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        return Weights(*[cast(Tensor, getattr(self, f"{name}_l{layer}")) for name in names])

    def parts(self, x: Tensor) -> list[tuple[Tensor, slice]]:
        """Inputs (n, T · B, D) with the trials that share them."""
        flat = x.flatten(1, 2)
        if len(x) == self.trials:
            return [(flat, slice(None))]
        runs = zip(flat, self.runs_of(x), strict=True)
        return [(row.expand(end - start, *row.shape), slice(start, end)) for row, (start, end) in runs]


class _Layer(torch.autograd.Function):
    """(G, T, B, D) → (S, T, B, H)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, anchor: Tensor, weights: Weights, grads: Weights, layer: StackedRecurrent
    ) -> Tensor:
        time, batch = x.shape[1:3]
        gates = x.new_empty(layer.trials, time * batch, weights.inputs.shape[1])
        for rows, part in layer.parts(x):
            torch.bmm(rows, weights.inputs[part].mT, out=gates[part])
        cell: Cell = layer.cell(gates.unflatten(1, (time, batch)), layer.hidden)
        cell.add_bias(weights.input_bias, weights.recurrent_bias)
        transposed = weights.recurrent.mT
        for step in range(time):
            cell.forward(step, torch.bmm(cell.states[:, step - 1], transposed) if step else None)
        ctx.x, ctx.weights, ctx.grads, ctx.layer, ctx.cell = x, weights, grads, layer, cell
        return cell.states

    @staticmethod
    def backward(ctx: Any, *outside: Tensor) -> tuple[Tensor | None, None, None, None, None]:
        x, weights, grads, layer, cell = ctx.x, ctx.weights, ctx.grads, ctx.layer, ctx.cell
        (grad,) = outside
        time = x.shape[1]
        later = torch.zeros_like(cell.states[:, 0])  # the gradient that comes from the next step
        for step in reversed(range(time)):
            recurrent = cell.backward(step, later.add_(grad[:, step]))
            if step:
                later = torch.bmm(recurrent, weights.recurrent).add_(cell.carried) if cell.carries else torch.bmm(recurrent, weights.recurrent)
        of_inputs, of_states = cell.gradients
        flat = of_inputs.flatten(1, 2)
        for rows, part in layer.parts(x):
            torch.bmm(flat[part].mT, rows, out=grads.inputs[part])
        torch.sum(flat, 1, out=grads.input_bias)
        if of_states is of_inputs:
            grads.recurrent_bias.copy_(grads.input_bias)
        else:
            torch.sum(of_states.flatten(1, 2), 1, out=grads.recurrent_bias)
        before, after = cell.states[:, :-1].flatten(1, 2), of_states[:, 1:].flatten(1, 2)
        torch.bmm(after.mT, before, out=grads.recurrent)
        return (torch.bmm(flat, weights.inputs).view(x.shape) if ctx.needs_input_grad[0] else None), None, None, None, None
