"""All measurements of one module with the weights it has.

Depth counts the hidden layers from 1 in the order in which they are called; the last layer is the head. What belongs to
the whole module (Jacobian, gradient quotient) stands in the head's rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from winit_cli.errors import UsageError
from winit_cli.foreign import blaming
from winit_cli.probe import signal
from winit_cli.probe.jacobian import Spectrum, spectrum
from winit_cli.probe.observe import IDENTITY, Layer, Observer
from winit_cli.probe.quotient import gradient_quotient, twice_differentiable
from winit_cli.probe.units import distinct_units, gradient_rank, unit_rows
from winit_cli.probe.untouched import holding_statistics, untouched
from winit_cli.schemes.slots import ROOT

METRICS = (
    *("pre_mean", "pre_mean_square", "act_mean_square", "layer_gain", "dead_fraction", "saturated_fraction"),
    *("correlation", "grad_norm", "jacobian_sq_sv_mean", "jacobian_sq_sv_var", "jacobian_sq_sv_max"),
    *("distinct_units", "gradient_rank", "gradient_quotient"),
)
JACOBIAN_EXAMPLES = 8  # their spectra are alike: the weights decide
QUOTIENT_EXAMPLES = 64  # second derivatives take four times as long as first ones
Loss = Callable[[Tensor, Any], Tensor]


class Row(NamedTuple):
    """One number: ``layer`` is a module's path, or the name of a parameter for its gradient."""

    layer: str
    depth: int
    metric: str
    value: float


@dataclass(frozen=True)
class Place:
    """A layer by its path, with its number of units, the activation that follows where it is known, and whether it
    goes through time."""

    path: str
    units: int
    activation: str
    is_recurrent: bool = False


@dataclass(frozen=True)
class Measured:
    """The layers in order, the head last, the mean square of the input, and all rows by depth and metric."""

    places: tuple[Place, ...]
    input_mean_square: float
    rows: tuple[Row, ...]

    def value(self, depth: int, metric: str) -> float:
        """The number of a layer; NaN where there is none."""
        path = self.places[depth - 1].path
        found = (row.value for row in self.rows if (row.layer, row.depth, row.metric) == (path, depth, metric))
        return next(found, float("nan"))


def measure(module: nn.Module, x: Tensor, y: Tensor | None, loss: Loss, *key: str | int) -> Measured:
    """Measure a module on the examples x (B, …), targets y and ``loss(output, y)``, the mean over them; see
    ``untouched`` for ``key`` and for what the module is afterwards. Dropout layers are off, batch norms see these B
    examples. The gradient quotient is of the first 64, the Jacobian of the first 8.

    Raises:
        UsageError: the module has no layer that was called, or its output is no tensor.
        ForeignError: the module or the loss raised an error.
    """
    with torch.inference_mode(False), torch.enable_grad(), untouched(module, *key):
        observer = Observer(module)
        with observer:
            out = _forward(module, x)
        if not observer.layers:
            raise UsageError(f"{type(module).__name__} called no layer with weights; there is nothing to probe")
        rows = [*_signals(observer.layers, x), *_units(observer.layers)]
        rows += _gradients(module, observer, _loss(loss, out, y))
        with twice_differentiable(module):
            with holding_statistics(module):
                rows += _jacobian(module, observer.layers, x[:JACOBIAN_EXAMPLES])
            rows.append(_quotient(module, observer.layers[-1], x, y, loss))
    places = tuple(
        Place(layer.path, _count(layer), layer.activation_name, layer.is_recurrent) for layer in observer.layers
    )
    rows.sort(key=lambda row: (row.depth, METRICS.index(row.metric)))
    return Measured(places, _mean_square(x), tuple(rows))


def _forward(module: nn.Module, x: Tensor) -> Tensor:
    with blaming(f"forward of {type(module).__name__}, called with one tensor of shape {tuple(x.shape)},"):
        return _tensor(module(x.clone()), module)


def _loss(loss: Loss, out: Tensor, y: Tensor | None) -> Tensor:
    with blaming("the loss"):
        value = loss(out, y)
    if not isinstance(value, Tensor) or value.dim() != 0:
        raise UsageError(
            f"the loss gave {type(value).__name__}, expected a tensor with one number, the mean over examples"
        )
    return value


def _quotient(module: nn.Module, last: Layer, x: Tensor, y: Tensor | None, loss: Loss) -> Row:
    x, y = x[:QUOTIENT_EXAMPLES], None if y is None else y[:QUOTIENT_EXAMPLES]
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    quotient = gradient_quotient(lambda: _loss(loss, _forward(module, x), y), trained)
    return Row(last.path, last.depth, "gradient_quotient", quotient)


def _tensor(out: object, module: nn.Module) -> Tensor:
    first = out[0] if isinstance(out, tuple) and out else out
    if not isinstance(first, Tensor):
        kind = type(first).__name__
        raise UsageError(
            f"{type(module).__name__} returned a {kind}, expected a tensor; wrap it in a module that gives one"
        )
    return first


def _mean_square(x: Tensor) -> float:
    return x.double().square().mean().item() if x.is_floating_point() else float("nan")


def arranged(tensor: Tensor, layer: Layer, examples: int) -> Tensor:
    """As (B, positions, units) in double precision; where another dimension came first, the one of size B does."""
    tensor = tensor.detach().double()
    if tensor.dim() > 1 and tensor.shape[0] != examples and tensor.shape[1] == examples:
        tensor = tensor.transpose(0, 1)
    if tensor.dim() < 2:
        return tensor.reshape(-1, 1, 1)
    if layer.has_channels:
        tensor = tensor.movedim(1, -1)
    return tensor.reshape(len(tensor), -1, tensor.shape[-1])


def _joined(layer: Layer, examples: int) -> Tensor:
    """What a layer gave in all its calls, side by side."""
    calls = [arranged(out, layer, examples) for out in layer.outputs]
    alike = [z for z in calls if (z.shape[0], z.shape[2]) == (calls[0].shape[0], calls[0].shape[2])]
    return alike[0] if len(alike) == 1 else torch.cat(alike, 1)


def _count(layer: Layer) -> int:
    return layer.outputs[0].shape[1 if layer.has_channels else -1] if layer.outputs[0].dim() > 1 else 1


def _signals(layers: list[Layer], x: Tensor) -> Iterator[Row]:
    before = _mean_square(x)
    for layer in layers:
        z = _joined(layer, len(x))
        square = signal.pre_mean_square(z)
        values = {
            "pre_mean": signal.pre_mean(z),
            "pre_mean_square": square,
            "layer_gain": signal.layer_gain(square, before),
            "correlation": signal.correlation(z),
            **(_states(layer, z) if layer.is_recurrent else _activations(layer, z)),
        }
        yield from (Row(layer.path, layer.depth, metric, value) for metric, value in values.items())
        before = square


def _activations(layer: Layer, z: Tensor) -> dict[str, float]:
    """What the activation makes of z; nothing where none was seen, or where it has parameters."""
    if layer.activation is None:
        return {}
    with torch.no_grad():
        values = {"act_mean_square": signal.act_mean_square(layer.activation(z))}
    if layer.activation_name in signal.RECTIFIED:
        values["dead_fraction"] = signal.dead_fraction(z)
    if layer.activation_name in signal.BOUNDED:
        values["saturated_fraction"] = signal.saturated_fraction(z, layer.activation)
    return values


def _states(layer: Layer, states: Tensor) -> dict[str, float]:
    """Of a recurrent layer, whose output has gone through its activation already."""
    values = {"act_mean_square": signal.act_mean_square(states)}
    kind = getattr(layer.module, "mode", None) or f"RNN_{getattr(layer.module, 'nonlinearity', 'gates').upper()}"
    if kind == "RNN_RELU":
        values["dead_fraction"] = signal.dead_fraction(states)
    if kind == "RNN_TANH":
        values["saturated_fraction"] = signal.saturated_states(states)
    return values


def _gradients(module: nn.Module, observer: Observer, loss: Tensor) -> Iterator[Row]:
    """L2 norms of ``dL/dz`` of each layer (the delta of Schoenholz et al. 2017, arXiv:1611.01232), under the layer's
    path, and of ``dL/dW`` of each parameter that trains, under its name; and the rank of the weights' gradients."""
    parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
    outputs = [(layer, out) for layer in observer.layers for out in layer.outputs if out.requires_grad]
    if not loss.requires_grad:
        return
    wanted = [*(out for _, out in outputs), *parameters.values()]
    with blaming("the backward pass"):
        found = torch.autograd.grad(loss, wanted, materialize_grads=True)
    deltas = dict.fromkeys(observer.layers, 0.0)
    for (layer, _), delta in zip(outputs, found, strict=False):
        deltas[layer] += torch.linalg.vector_norm(delta, dtype=torch.float64).item() ** 2
    for layer, squares in deltas.items():
        yield Row(layer.path, layer.depth, "grad_norm", squares**0.5)
    own: dict[Layer, list[Tensor]] = {layer: [] for layer in observer.layers}
    by_path = {layer.path: layer for layer in observer.layers}
    for name, gradient in zip(parameters, found[len(outputs) :], strict=True):
        path = _owner(name, observer.depths)
        yield Row(
            name,
            observer.depths.get(path, 1),
            "grad_norm",
            torch.linalg.vector_norm(gradient, dtype=torch.float64).item(),
        )
        if gradient.dim() > 1 and (path or ROOT) in by_path:
            own[by_path[path or ROOT]].append(gradient)
    for layer, gradients in own.items():
        if gradients:
            yield Row(layer.path, layer.depth, "gradient_rank", gradient_rank(gradients))


def _owner(parameter: str, depths: dict[str, int]) -> str:
    """The innermost module around a parameter that was called."""
    owner, _, parametrized = parameter.partition("parametrizations.")
    path = owner.rstrip(".") if parametrized else parameter.rpartition(".")[0]
    while path and path not in depths:
        path = path.rpartition(".")[0]
    return path


def _units(layers: list[Layer]) -> Iterator[Row]:
    for layer in layers:
        rows = unit_rows(layer.module)
        if rows:
            yield Row(layer.path, layer.depth, "distinct_units", float(distinct_units(rows)))


def _jacobian(module: nn.Module, layers: list[Layer], x: Tensor) -> Iterator[Row]:
    """With respect to the input; where that is tokens, to what the first layer makes of them."""
    last = layers[-1]
    function, at = (lambda some: _tensor(module(some), module)), x
    if not x.is_floating_point():
        at = layers[0].outputs[0].detach()[: len(x)]
        function = _after(layers[0].module, module, x)
    try:
        found = spectrum(function, at)
    except RuntimeError:  # no second derivative, or the output does not depend on the input in torch's eyes
        found = Spectrum(float("nan"), float("nan"), float("nan"))
    for name, value in found._asdict().items():
        yield Row(last.path, last.depth, f"jacobian_sq_sv_{name}", value)


def _after(first: nn.Module, module: nn.Module, x: Tensor) -> Callable[[Tensor], Tensor]:
    """The module as a function of what its first layer gives."""

    def function(given: Tensor) -> Tensor:
        handle = first.register_forward_hook(lambda *_: given)
        try:
            return _tensor(module(x[:1].expand(len(given), *x.shape[1:])), module)
        finally:
            handle.remove()

    return function


__all__ = ["IDENTITY", "METRICS", "Measured", "Place", "Row", "measure"]
