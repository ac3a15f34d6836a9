"""Recurrent layers of many trials. S trials in a stack, B batch, T time, D features, H hidden size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from winit_cli.models.lift.twin import Run, Twin, joined


class LoopedRecurrent(Twin):
    """(S, B, T, D) → (S, B, T, H) by torch's own recurrent kernel for each trial: the fastest on a processor."""

    def __init__(self, layers: Sequence[nn.RNNBase], runs: Sequence[Run]) -> None:
        super().__init__(layers, runs)
        self.mode, self.layers, self.hidden = layers[0].mode.lower(), layers[0].num_layers, layers[0].hidden_size

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        names = [name for name, _ in self.named_parameters()]
        weights = zip(*[cast("Sequence[Tensor]", self.of_each(name)) for name in names], strict=True)
        outs = [self._one(sequence, list(own)) for sequence, own in zip(self.rows(x), weights, strict=True)]
        return joined(outs), None

    def _one(self, x: Tensor, weights: list[Tensor]) -> Tensor:
        start = x.new_zeros(self.layers, len(x), self.hidden)
        kernel: Callable[..., tuple[Tensor, ...]] = getattr(torch, self.mode)
        state: Any = (start, start) if self.mode == "lstm" else start
        return kernel(x.contiguous(), state, weights, True, self.layers, 0.0, self.training, False, True)[0]


class StackedRecurrent(LoopedRecurrent):
    """The same with one product per time step for all trials: few and large kernels, as a GPU needs them."""

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        x = self.spread(x)
        for layer in range(self.layers):
            x = self._layer(x, layer)
        return x, None

    def _layer(self, x: Tensor, layer: int) -> Tensor:
        inputs, recurrent, bias, bias_hh = (
            cast(Tensor, getattr(self, f"{name}_l{layer}")) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        projected = torch.baddbmm(bias.unsqueeze(1), x.flatten(1, 2), inputs.mT)
        projected = projected.reshape(*x.shape[:3], -1)
        cell = CELLS[self.mode]
        h = c = x.new_zeros(self.trials, x.shape[1], self.hidden)
        states = []
        for now in projected.unbind(2):  # not by indexing, whose backward fills the whole sequence at every step
            h, c = cell(now, torch.baddbmm(bias_hh.unsqueeze(1), h, recurrent.mT), h, c)
            states.append(h)
        return torch.stack(states, 2)


Pair = tuple[Tensor, Tensor]


def _lstm(x: Tensor, h_part: Tensor, h: Tensor, c: Tensor) -> Pair:
    i, f, g, o = (x + h_part).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _gru(x: Tensor, h_part: Tensor, h: Tensor, c: Tensor) -> Pair:
    x_r, x_z, x_n = x.chunk(3, -1)
    h_r, h_z, h_n = h_part.chunk(3, -1)
    z = torch.sigmoid(x_z + h_z)
    n = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
    return n + z * (h - n), c


CELLS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Pair]] = {
    "lstm": _lstm,
    "gru": _gru,
    "rnn_tanh": lambda x, h_part, h, c: (torch.tanh(x + h_part), c),
    "rnn_relu": lambda x, h_part, h, c: (torch.relu(x + h_part), c),
}
