"""How values are distributed: counts in bins of equal width, for pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from winit_cli.probe.arrays import joined
from winit_cli.probe.gradients import owner
from winit_cli.probe.jacobian import Spectrum
from winit_cli.probe.layers import Layer
from winit_cli.probe.measured import Bin
from winit_cli.probe.memory import Memory
from winit_cli.schemes.slots import ROOT, slots

BINS = 40
EXAMPLES = 64  # whose activations are counted: thousands of values in every layer
RESOLVED = 1e-12  # of the largest value: what lies closer together than this has no bins between


def bins(layer: Layer, quantity: str, tensors: Iterable[Tensor]) -> Iterator[Bin]:
    """The finite ones of all values in 40 bins from the smallest to the largest; in one bin where they are equal."""
    values = torch.cat([tensor.detach().flatten().double().cpu() for tensor in tensors])
    if not values.isfinite().all():
        values = values[values.isfinite()]
    if not len(values):
        return
    low, high = (bound.item() for bound in values.aminmax())
    if high - low <= RESOLVED * max(abs(low), abs(high)):
        yield Bin(layer.path, layer.depth, quantity, low, high, len(values))
        return
    counts, edges = torch.histogram(values, BINS, range=(low, high))
    for count, left, right in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        yield Bin(layer.path, layer.depth, quantity, left, right, int(count))


def weight_bins(module: nn.Module, layers: Sequence[Layer], depths: Mapping[str, int]) -> Iterator[Bin]:
    """Of the weights and biases that belong to each layer."""
    own: dict[str, dict[str, list[Tensor]]] = {layer.path: {"weight": [], "bias": []} for layer in layers}
    for slot in slots(module):
        quantity = "bias" if slot.kind == "bias" else "weight"
        path = owner(slot.name, depths) or ROOT
        if path in own and slot.kind != "norm":
            own[path][quantity].append(slot.parameter)
    for layer in layers:
        for quantity, tensors in own[layer.path].items():
            if tensors:
                yield from bins(layer, quantity, tensors)


def signal_bins(layers: Sequence[Layer], examples: int) -> Iterator[Bin]:
    """Of what layers gave on the first examples: before the activation and after; of recurrent layers the states."""
    for layer in layers:
        z = joined(layer, examples)[:EXAMPLES].double()
        if not layer.is_recurrent:
            yield from bins(layer, "pre_activation", [z])
        if layer.is_recurrent or layer.activation is not None:
            with torch.no_grad():
                yield from bins(layer, "activation", [layer.activation(z) if layer.activation else z])


def gradient_bins(weight_gradients: Mapping[Layer, Mapping[str, Tensor]]) -> Iterator[Bin]:
    """Of ``dL/dW``."""
    for layer, gradients in weight_gradients.items():
        if gradients:
            yield from bins(layer, "gradient", gradients.values())


def gate_bins(memories: Mapping[Layer, Memory]) -> Iterator[Bin]:
    """Of the gates of recurrent layers, on all steps of the first examples."""
    for layer, memory in memories.items():
        for name, arrays in memory.gates.items():
            yield from bins(layer, f"gate_{name}", arrays)


def jacobian_bins(spectrum: Spectrum, last: Layer) -> Iterator[Bin]:
    """Of the singular values, where they were computed."""
    if spectrum.values is not None:
        yield from bins(last, "jacobian_singular_value", [spectrum.values])
