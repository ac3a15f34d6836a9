"""AutoInit: weights scaled by what is computed of the signal that meets them, without measuring it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd
from torch.nn.utils.rnn import PackedSequence

from winit_cli.errors import UnfitError
from winit_cli.schemes.fitting import Fitting
from winit_cli.schemes.following import Follower, refuse
from winit_cli.schemes.frameworks import Distribution
from winit_cli.schemes.kinds import LAYERS
from winit_cli.schemes.per_unit import is_recurrence
from winit_cli.schemes.recipe import Use
from winit_cli.schemes.row import Scheme
from winit_cli.schemes.signal import Signal, state
from winit_cli.schemes.slots import Slot, slots
from winit_cli.tables import PositiveInt


def autoinit(slot: Slot, *, distribution: Distribution = "truncated_normal", examples: PositiveInt = 256) -> Use:
    """Weights that keep the variance of inputs of mean 0, to begin with."""
    if slot.kind == "bias":
        return Use("zeros")
    if slot.kind == "embedding":  # which picks rows: nothing is summed
        return Use("normal")
    return Use("orthogonal") if is_recurrence(slot) else Use("variance_scaling", {"distribution": distribution})


def fit_autoinit(net: Fitting, *, distribution: str, examples: int) -> None:
    """One pass, in which every layer is scaled before it is called for the first time."""
    x = net.batch(examples)
    net.weights(x)  # which refuses layers that are not called
    layers: dict[nn.Module, dict[str, Slot]] = {}
    for slot in slots(net.module):
        if slot.kind in LAYERS:
            layers.setdefault(slot.module, {})[slot.local] = slot
    scaling = _Scaling(layers, net.slots)
    with Follower(x, layers, scaling.enter):
        net.forward(x)


class _Scaling:
    """The weights of a model by their modules, and the mean square of the inputs that each was scaled for."""

    def __init__(self, layers: Mapping[nn.Module, Mapping[str, Slot]], own: Sequence[Slot]) -> None:
        self._layers, self._own = layers, {slot.name for slot in own}
        self._scaled_for: dict[str, float] = {}

    def enter(self, module: nn.Module, signal: Signal, given: Any) -> Signal:
        """Scale what is the scheme's at the first call; what the layer gives."""
        if isinstance(module, nn.MultiheadAttention | nn.RNNCellBase) or _projects(module):
            refuse(type(module).__name__)
        if isinstance(module, nn.RNNBase):
            return self._states(module, signal, given)
        (slot,) = self._layers[module].values()
        return self._products(slot, signal)

    def _products(self, slot: Slot, signal: Signal) -> Signal:
        """What a weight gives, with the bias of its layer, which another scheme may fill."""
        if slot.kind == "embedding":
            return Signal(0, 1) if slot.name in self._own else Signal.of(slot.parameter)
        sums = self._scaled(slot, signal) if slot.name in self._own else _unscaled(slot, signal)
        bias = getattr(slot.module, "bias", None)  # of recurrent layers a flag
        return sums.plus(Signal.of(bias)) if isinstance(bias, Tensor) else sums

    def _scaled(self, slot: Slot, signal: Signal) -> Signal:
        """Of a weight of the scheme."""
        if slot.name not in self._scaled_for:
            if not 0 < signal.square < math.inf:
                raise UnfitError(f"autoinit cannot scale {slot.name}: the mean square of its inputs is {signal.square}")
            slot.parameter.mul_(1 / math.sqrt(signal.square * _share(slot)))
            slot.write()
            self._scaled_for[slot.name] = signal.square
        return Signal(0, signal.square / self._scaled_for[slot.name])

    def _states(self, module: nn.RNNBase, signal: Signal, given: Any) -> Signal:
        """Of the last layer that a recurrent module stacks, after the last step."""
        weights = self._layers[module]
        for layer in range(module.num_layers):
            ends = ("", "_reverse") if module.bidirectional else ("",)
            projected = [self._products(weights[f"weight_ih_l{layer}{end}"], signal) for end in ends]
            back = module.hidden_size * Signal.of(weights[f"weight_hh_l{layer}"].parameter).square
            signal = state(module.mode, projected[0].square, back, _steps(module, given))
        return signal


def _projects(module: nn.Module) -> bool:
    """Whether it is an LSTM that gives projections of its states."""
    return isinstance(module, nn.LSTM) and module.proj_size > 0


def _steps(module: nn.RNNBase, given: Any) -> int:
    """T, the length of a sequence."""
    if isinstance(given, PackedSequence):
        return len(given.batch_sizes)
    return int(given.shape[1 if module.batch_first and given.dim() == 3 else 0])


def _unscaled(slot: Slot, signal: Signal) -> Signal:
    """Of a weight that another scheme fills, whose values are measured."""
    weight, fan = Signal.of(slot.parameter), math.prod(slot.block_shape[1:]) * _share(slot)
    mean = weight.mean * signal.mean
    return Signal(fan * mean, fan * (weight.square * signal.square - mean**2))


def _share(slot: Slot) -> float:
    """The part of its inputs that an output of a layer is made of: a transposed convolution spreads them by strides."""
    return 1 / math.prod(slot.module.stride) if isinstance(slot.module, _ConvTransposeNd) else 1.0


SCHEMES = (
    Scheme(
        name="autoinit",
        family="data-driven",
        summary="weights scaled layer by layer to unit variance, by the mean and variance computed of what meets them",
        formula="W ~ truncated N(0, 1 / (fan_in (ν + μ²))); μ, ν of the layer's inputs follow from those of the data "
        "through all that lies between: activations by integration against N(μ, ν), pooling, norms, dropout, sums",
        keeps="mean 0 and variance 1 of the pre-activations of every layer, for Gaussian signals whose values are "
        "independent",
        paper="Bingham & Miikkulainen 2021, AutoInit (arXiv:2109.08958)",
        torch_call="w.div_((var + mean**2) ** 0.5), with the variance and mean that are computed of the layer's inputs",
        choose=autoinit,
        fit=fit_autoinit,
        dims=(2, 99),
        pitfalls=(
            "Takes values for independent: global averages, neighbouring pixels and residual branches are not, so that "
            "variances drift there. lsuv measures them.",
            "Knows linear and convolutional layers, embeddings, LSTM, GRU and RNN, elementwise activations, norms, "
            "pooling, dropout, padding, concatenation and sums, as modules or functions. What else a signal meets "
            "(attention, products of two signals, recurrent cells) is refused in one line that says what.",
            "Dropout counts as in training, zeros that convolutions pad with do not count. Norms give mean 0 and "
            "variance 1, whatever their weights.",
            "Of recurrent layers the input weights are scaled and the recurrent ones are orthogonal; the state is that "
            "of the last step for inputs that are independent in time too, by a mean-field recursion of "
            "winit's own. Where inputs last, states of LSTM and GRU are larger.",
            "Of the data it sees the mean and variance over all inputs, in two passes.",
        ),
    ),
)
