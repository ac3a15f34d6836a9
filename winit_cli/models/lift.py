"""Many modules of one architecture as one: every layer gets a twin whose parameters have a leading dimension.

S trials in a stack, B batch, C channels, D features, H hidden size, T time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Twin(nn.Module):
    """The parameters and buffers of S layers, stacked under the names that they have in one."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        for name, parameter in layers[0].named_parameters():
            stacked = torch.stack([cast(Tensor, getattr(layer, name)).detach() for layer in layers])
            self.register_parameter(name, nn.Parameter(stacked, requires_grad=parameter.requires_grad))
        for name, _ in layers[0].named_buffers():
            self.register_buffer(name, torch.stack([cast(Tensor, getattr(layer, name)) for layer in layers]))
        self.trials = len(layers)

    def of_each(self, name: str) -> Sequence[Tensor | None]:
        """A parameter of every trial; ``None`` for those that the layer does not have."""
        stacked = getattr(self, name, None)
        return [None] * self.trials if stacked is None else _each(stacked)


class StackedLinear(_Twin):
    """(S, B, …, D) → (S, B, …, outputs) in one batched product.

    The weights (S, outputs, D) lie in memory as (S, D, outputs), the layout in which their gradients come out.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__(layers)
        stacked = cast(Tensor, self._parameters["weight"]).detach()
        self.weight = nn.Parameter(stacked.mT.contiguous().mT)

    def forward(self, x: Tensor) -> Tensor:
        shape = x.shape
        x = x.flatten(1, -2)
        weight = cast(Tensor, self.weight).mT
        bias = getattr(self, "bias", None)
        out = torch.bmm(x, weight) if bias is None else torch.baddbmm(bias.unsqueeze(1), x, weight)
        return out.reshape(*shape[:-1], out.shape[-1])


class LoopedConv(_Twin):
    """(S, B, C, height, width) by one convolution per trial, channels last: the fastest on a processor."""

    def __init__(self, layers: Sequence[nn.Conv2d]) -> None:
        super().__init__(layers)
        first = layers[0]
        self._sizes = (first.stride, cast("tuple[int, int]", first.padding), first.dilation, first.groups)

    def forward(self, x: Tensor) -> Tensor:
        return _joined(
            [
                F.conv2d(_last(image), _last(cast(Tensor, weight)), bias, *self._sizes)
                for image, weight, bias in zip(_each(x), self.of_each("weight"), self.of_each("bias"), strict=True)
            ]
        )


class GroupedConv(_Twin):
    """(S, B, C, height, width) by one convolution with a group per trial."""

    def __init__(self, layers: Sequence[nn.Conv2d]) -> None:
        super().__init__(layers)
        first = layers[0]
        groups = first.groups * self.trials
        self._sizes = (first.stride, cast("tuple[int, int]", first.padding), first.dilation, groups)

    def forward(self, x: Tensor) -> Tensor:
        bias = getattr(self, "bias", None)
        bias = None if bias is None else bias.flatten()
        out = F.conv2d(_side_by_side(x), cast(Tensor, self.weight).flatten(0, 1), bias, *self._sizes)
        return _apart(out, self.trials)


class StackedBatchNorm(_Twin):
    """(S, B, C, …): statistics of each trial's own batch."""

    def __init__(self, layers: Sequence[nn.BatchNorm1d | nn.BatchNorm2d]) -> None:
        super().__init__(layers)
        self._momentum, self._eps = cast(float, layers[0].momentum), layers[0].eps

    def forward(self, x: Tensor) -> Tensor:
        names = ("running_mean", "running_var", "weight", "bias")
        mean, variance, weight, bias = [cast(Tensor, getattr(self, name)).flatten() for name in names]
        out = F.batch_norm(_side_by_side(x), mean, variance, weight, bias, self.training, self._momentum, self._eps)
        if self.training:
            cast(Tensor, self.num_batches_tracked).add_(1)
        return _apart(out, self.trials)


class StackedLayerNorm(_Twin):
    """(S, B, …, C): every example by itself."""

    def __init__(self, layers: Sequence[nn.LayerNorm]) -> None:
        super().__init__(layers)
        self._shape, self._eps = layers[0].normalized_shape, layers[0].eps

    def forward(self, x: Tensor) -> Tensor:
        out = F.layer_norm(x, self._shape, eps=self._eps)
        return torch.addcmul(_spread(self.bias, x, -1), out, _spread(self.weight, x, -1))


class StackedGroupNorm(_Twin):
    """(S, B, C, …): every example by itself, in groups of channels."""

    def __init__(self, layers: Sequence[nn.GroupNorm]) -> None:
        super().__init__(layers)
        self._groups, self._eps = layers[0].num_groups, layers[0].eps

    def forward(self, x: Tensor) -> Tensor:
        out = F.group_norm(x.flatten(0, 1), self._groups, eps=self._eps).reshape(x.shape)
        return torch.addcmul(_spread(self.bias, x, 2), out, _spread(self.weight, x, 2))


class LoopedRecurrent(_Twin):
    """(S, B, T, D) → (S, B, T, H) by torch's own recurrent kernel for each trial: the fastest on a processor."""

    def __init__(self, layers: Sequence[nn.RNNBase]) -> None:
        super().__init__(layers)
        self.mode, self.layers, self.hidden = layers[0].mode.lower(), layers[0].num_layers, layers[0].hidden_size

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        names = [name for name, _ in self.named_parameters()]
        weights = zip(*[cast("Sequence[Tensor]", self.of_each(name)) for name in names], strict=True)
        return _joined([self._one(sequence, list(own)) for sequence, own in zip(_each(x), weights, strict=True)]), None

    def _one(self, x: Tensor, weights: list[Tensor]) -> Tensor:
        start = x.new_zeros(self.layers, len(x), self.hidden)
        kernel: Callable[..., tuple[Tensor, ...]] = getattr(torch, self.mode)
        state: Any = (start, start) if self.mode == "lstm" else start
        return kernel(x.contiguous(), state, weights, True, self.layers, 0.0, self.training, False, True)[0]


class StackedRecurrent(LoopedRecurrent):
    """The same with one product per time step for all trials: few and large kernels, as a GPU needs them."""

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
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

COMMON: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    nn.Linear: StackedLinear,
    nn.BatchNorm1d: StackedBatchNorm,
    nn.BatchNorm2d: StackedBatchNorm,
    nn.LayerNorm: StackedLayerNorm,
    nn.GroupNorm: StackedGroupNorm,
}
LOOPED = {nn.Conv2d: LoopedConv, nn.LSTM: LoopedRecurrent, nn.GRU: LoopedRecurrent, nn.RNN: LoopedRecurrent}
BATCHED = {nn.Conv2d: GroupedConv, nn.LSTM: StackedRecurrent, nn.GRU: StackedRecurrent, nn.RNN: StackedRecurrent}


def lift(models: Sequence[nn.Module], *, batched: bool) -> nn.Module:
    """S models of one architecture as one module that maps (S, B, …) to (S, B, …).

    Parameters keep their names and get a leading dimension S. Convolutions and recurrent layers run trial by trial, or
    ``batched``. The models' forward passes must be written for any number of leading dimensions.
    """
    twins = COMMON | (BATCHED if batched else LOOPED)
    if type(models[0]) in twins:
        return twins[type(models[0])](models)
    lifted = copy.copy(models[0])
    lifted._parameters, lifted._buffers = {}, {}
    lifted._modules = {
        name: lift([model.get_submodule(name) for model in models], batched=batched)
        for name, _ in models[0].named_children()
    }
    return lifted


def without_twin(model: nn.Module) -> str | None:
    """The type of the first layer with parameters that has no stacked form; ``None`` if all have one."""
    for module in model.modules():
        if type(module) not in COMMON | LOOPED and [*module.parameters(recurse=False), *module.buffers(recurse=False)]:
            return type(module).__name__
    return None


def has_loops(model: nn.Module) -> bool:
    """Whether the model has layers that run trial by trial on a processor."""
    return any(type(module) in LOOPED for module in model.modules())


def _each(x: Tensor) -> Sequence[Tensor]:
    """The parts of (S, …); one alone keeps its layout in memory, and so does its gradient."""
    return [x.squeeze(0)] if len(x) == 1 else x.unbind()


def _joined(outs: list[Tensor]) -> Tensor:
    return outs[0].unsqueeze(0) if len(outs) == 1 else torch.stack(outs)


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _side_by_side(x: Tensor) -> Tensor:
    """(S, B, C, …) → (B, S · C, …)."""
    return x.transpose(0, 1).flatten(1, 2)


def _apart(x: Tensor, trials: int) -> Tensor:
    """(B, S · C, …) → (S, B, C, …)."""
    return x.reshape(len(x), trials, -1, *x.shape[2:]).transpose(0, 1)


def _spread(vector: Any, x: Tensor, dim: int) -> Tensor:
    """(S, C) in the shape that multiplies (S, …, C, …), C at ``dim``."""
    shape = [1] * x.dim()
    shape[0], shape[dim] = vector.shape
    return cast(Tensor, vector).reshape(shape)
