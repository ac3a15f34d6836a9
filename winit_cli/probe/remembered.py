"""From the calls of a recurrent layer to its memory. B examples, T steps, D features, H units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from winit_cli.probe.gradients import Gradients
from winit_cli.probe.layers import Call, Layer
from winit_cli.probe.memory import Memory, by_lag
from winit_cli.probe.recurrence import Gates, State, Unrolled, Weights, received, step, unrolled, weights_of

EXAMPLES = 64  # whose steps are computed one by one
_TORCHS: tuple[type[nn.Module], ...] = (nn.LSTM, nn.GRU, nn.RNN, nn.LSTMCell, nn.GRUCell, nn.RNNCell)


def remembered(layer: Layer, gradients: Gradients) -> Memory:
    """What a recurrent layer remembers of the steps of its longest call (of several the one with the largest gradient),
    or of all calls of a cell.

    Nothing is found of sequences of unequal lengths (packed ones), whose last steps are different ones, and of layers
    that compute something else than torch's. The gradient is ``dL/ds_t``, s the state that is handed on: h, and for an
    LSTM the cells c too, which carry its memory; its norm is over the first 64 examples and all layers that lie one on
    another. Layers that read backward have no lags: their last step is the first of the others.
    """
    module = layer.module
    if not any(type(module).forward is torchs.forward for torchs in _TORCHS):
        return Memory()
    if not isinstance(module, nn.RNNBase):
        return _of_cell(layer, gradients)
    pairs = zip(layer.outputs, layer.calls, strict=True)
    calls = [(out, call) for out, call in pairs if isinstance(call.given, Tensor)]
    if not calls:
        return Memory()

    def size(pair: tuple[Tensor, Call]) -> tuple[int, float]:
        return _sequences(module, pair[0]).shape[1], gradients.norm(pair[0], pair[1].last_states)

    return _of_call(module, gradients, *max(calls, key=size))


def _of_call(module: nn.RNNBase, gradients: Gradients, out: Tensor, call: Call) -> Memory:
    given = _sequences(module, call.given)
    state = tuple(part.requires_grad_() for part in _first_state(module, call.state, given))
    steps = unrolled(module, given, state)
    ends = [last for last in (call.last_states, call.last_cells) if last is not None]
    if not any(gradients.has(gave) for gave in (out, *ends)):
        return Memory(steps.gates)
    deltas = [_sequences(module, gradients.of(out)), *(_stacked(gradients.of(last)) for last in ends)]
    return Memory(steps.gates, by_lag(_norms(steps, deltas)))


def _sequences(module: nn.RNNBase, tensor: Tensor) -> Tensor:
    """As (B, T, …), the first examples in double precision."""
    if tensor.dim() == 2:
        tensor = tensor[None]
    elif not module.batch_first:
        tensor = tensor.transpose(0, 1)
    return tensor[:EXAMPLES].detach().double()


def _stacked(states: Tensor) -> Tensor:
    """As (layers, B, H), of the first examples in double precision; a copy."""
    states = states if states.dim() > 2 else states[:, None]
    return states[:, :EXAMPLES].detach().to(torch.float64, copy=True)


def _first_state(module: nn.RNNBase, state: Any, given: Tensor) -> State:
    """What a call was given, or zeros."""
    if state is not None:
        return tuple(map(_stacked, state if isinstance(state, tuple | list) else (state,)))
    layers = module.num_layers * (2 if module.bidirectional else 1)
    sizes = (module.proj_size or module.hidden_size, module.hidden_size)[: 2 if module.mode == "LSTM" else 1]
    return tuple(given.new_zeros(layers, len(given), size) for size in sizes)


def _norms(steps: Unrolled, deltas: Sequence[Tensor]) -> list[float]:
    """Of the gradient with respect to the states after each step, from that with respect to what the layer gave."""
    states = [part for after in steps.forward for part in after]
    found = torch.autograd.grad([steps.out, *steps.last], states, deltas)
    squares = torch.stack([gradient.square().sum() for gradient in found])
    norms: list[float] = squares.reshape(len(steps.forward), -1).sum(1).sqrt().tolist()
    return norms


def _of_cell(layer: Layer, gradients: Gradients) -> Memory:
    """Its outputs are the states themselves, call by call."""
    weights = weights_of(layer.module)
    made = [_gates_of_cell(layer, weights, call) for call in layer.calls]
    gates = {name: [torch.cat([gates[name] for gates in made])] for name in made[0]}
    if not any(gradients.has(out) for out in layer.outputs):
        return Memory(gates)
    pairs = zip(layer.outputs, layer.calls, strict=True)
    return Memory(gates, by_lag([gradients.norm(out, call.last_cells) for out, call in pairs]))


def _gates_of_cell(layer: Layer, weights: Weights, call: Call) -> Gates:
    given = received(weights, _rows(call.given))
    zeros = given.new_zeros(len(given), weights.hh.shape[1])
    state = call.state if isinstance(call.state, tuple | list) else (call.state, call.state)
    return step(layer.recurrence, weights, given, tuple(zeros if s is None else _rows(s) for s in state))[1]


def _rows(tensor: Tensor) -> Tensor:
    """As (B, …), the first examples in double precision."""
    return (tensor if tensor.dim() > 1 else tensor[None])[:EXAMPLES].detach().double()
