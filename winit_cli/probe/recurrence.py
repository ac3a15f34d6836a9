"""A recurrent layer step by step, in double precision: the fused kernels keep neither its gates nor its inner states.

B examples, T steps, D features, H units, L layers one on another, W ways (2 where it reads backward too).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

State = tuple[Tensor, ...]  # what a layer hands from step to step: h (B, H), and the cells c of an LSTM
Gates = dict[str, Tensor]  # (B, H) each


def _lstm(given: Tensor, fed_back: Tensor, state: State) -> tuple[State, Gates]:
    i, f, g, o = (given + fed_back).chunk(4, 1)
    i, f, o = i.sigmoid(), f.sigmoid(), o.sigmoid()
    c = f * state[1] + i * g.tanh()
    return (o * c.tanh(), c), {"input": i, "forget": f, "output": o}


def _gru(given: Tensor, fed_back: Tensor, state: State) -> tuple[State, Gates]:
    (r, z, n), (r_back, z_back, n_back) = given.chunk(3, 1), fed_back.chunk(3, 1)
    r, z = (r + r_back).sigmoid(), (z + z_back).sigmoid()
    n = (n + r * n_back).tanh()
    return (n + z * (state[0] - n),), {"reset": r, "update": z}


_STEPS: dict[str, Callable[[Tensor, Tensor, State], tuple[State, Gates]]] = {
    "LSTM": _lstm,
    "GRU": _gru,
    "RNN_TANH": lambda given, fed_back, state: (((given + fed_back).tanh(),), {}),
    "RNN_RELU": lambda given, fed_back, state: (((given + fed_back).relu(),), {}),
}


class Weights(NamedTuple):
    """Those of one layer that reads one way: of the inputs, of the states fed back, and of an LSTM's projection."""

    ih: Tensor
    hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    hr: Tensor | None


def weights_of(module: nn.Module, end: str = "") -> Weights:
    """``end`` is how the names of the weights end: ``_l0_reverse``, or not at all in a cell."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    weights = (getattr(module, f"{name}{end}", None) for name in names)
    found: list[Any] = [None if weight is None else weight.detach().double() for weight in weights]
    return Weights(*found)


def step(kind: str, weights: Weights, given: Tensor, state: State) -> tuple[State, Gates]:
    """The state after a step and the gates that made it, from what the inputs give (B, gates·H) and the state before;
    ``kind`` is torch's name: LSTM, GRU, RNN_TANH or RNN_RELU."""
    state, gates = _STEPS[kind](given, linear(state[0], weights.hh, weights.bias_hh), state)
    return (state if weights.hr is None else (linear(state[0], weights.hr), *state[1:])), gates


def received(weights: Weights, x: Tensor) -> Tensor:
    """What inputs (…, D) give: (…, gates·H)."""
    return linear(x, weights.ih, weights.bias_ih)


@dataclass
class Unrolled:
    """``out`` (B, T, W·H) and ``last`` (L·W, B, H; of each part of the state) are what torch gives. ``forward`` holds
    the states after each step of the layers that read forward, ``gates`` arrays (T·B, H), one a layer and way."""

    out: Tensor
    last: State = ()
    forward: list[list[Tensor]] = field(default_factory=list)
    gates: dict[str, list[Tensor]] = field(default_factory=dict)


def unrolled(module: nn.RNNBase, x: Tensor, state: State) -> Unrolled:
    """Run a layer on x (B, T, D) from a state (L·W, B, H; two of them for an LSTM)."""
    found = Unrolled(x, forward=[[] for _ in range(x.shape[1])])
    last: list[State] = []
    ways = ("", "_reverse") if module.bidirectional else ("",)
    for layer in range(module.num_layers):
        outs = []
        for way in ways:
            weights, first = weights_of(module, f"_l{layer}{way}"), tuple(part[len(last)] for part in state)
            states, gates = _one_way(module.mode, weights, found.out.flip(1) if way else found.out, first)
            out = torch.stack([h for h, *_ in states], 1)
            outs.append(out.flip(1) if way else out)
            last.append(states[-1])
            for name in gates[0]:
                found.gates.setdefault(name, []).append(torch.cat([after[name] for after in gates]).detach())
            if not way:
                found.forward = [[*before, *after] for before, after in zip(found.forward, states, strict=True)]
        found.out = torch.cat(outs, -1)
    found.last = tuple(torch.stack(parts) for parts in zip(*last, strict=True))
    return found


def _one_way(kind: str, weights: Weights, x: Tensor, state: State) -> tuple[list[State], list[Gates]]:
    states, made = [], []
    for given in received(weights, x).unbind(1):
        state, gates = step(kind, weights, given, state)
        states.append(state)
        made.append(gates)
    return states, made
