"""What the layers of a model give, seen in a forward pass. B examples, U outputs of a weight, N all values of each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, cast

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from winit_cli.schemes.slots import Slot

PACKED = "in_proj_weight"  # an attention's projections of one input to queries, keys and values


@contextlib.contextmanager
def hooked(modules: set[nn.Module], see: Callable[[nn.Module, Any, Any], object]) -> Iterator[None]:
    """``see(module, first argument, output)`` at every call."""

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        see(module, args[0] if args else next(iter(kwargs.values())), out)

    handles = [module.register_forward_hook(hook, with_kwargs=True) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def response(slot: Slot, given: Any, out: Any) -> Tensor:
    """What a weight makes of its inputs in one call of its layer, without the bias, (U, N). Of the input weights of
    recurrent layers and of attention that is the projection of its inputs."""
    if slot.kind == "recurrent":
        values = _projection(slot, given)
    elif slot.local == PACKED:
        values = F.linear(plain(given), slot.parameter)
    else:
        values = _without_bias(slot, plain(out))
    units = values.dim() - (slot.parameter.dim() - 1) if slot.kind == "conv" else values.dim() - 1
    return values.movedim(units, 0).flatten(1)


def _without_bias(slot: Slot, out: Tensor) -> Tensor:
    """A copy, as an activation may change the output in place."""
    bias = getattr(slot.module, "bias", None)
    if slot.kind == "embedding" or not isinstance(bias, Tensor):
        return out.clone()
    return out - (bias.reshape(-1, *[1] * (slot.parameter.dim() - 2)) if slot.kind == "conv" else bias)


def plain(value: Any) -> Tensor:
    """A tensor, the first of several, or what a packed sequence holds."""
    first = value[0] if isinstance(value, tuple) and not isinstance(value, PackedSequence) else value
    return cast(Tensor, first.data if isinstance(first, PackedSequence) else first)


def _projection(slot: Slot, given: Any) -> Tensor:
    """The inputs of a recurrent layer, or the states of the layers below, times a weight of theirs."""
    _, _, place = slot.local.partition("_l")
    below = int(place.partition("_")[0] or 0) if place else 0
    states = _states_below(cast(nn.RNNBase, slot.module), below, given) if below else plain(given)
    return F.linear(states, slot.parameter)


def _states_below(layer: nn.RNNBase, count: int, given: Tensor | PackedSequence) -> Tensor:
    """The states of the first ``count`` layers that a recurrent module stacks."""
    x = plain(given)
    cls: Any = type(layer)
    more: dict[str, Any] = {"proj_size": layer.proj_size} if layer.proj_size else {}
    if layer.mode.startswith("RNN_"):
        more["nonlinearity"] = layer.mode.removeprefix("RNN_").lower()
    twin = cls(
        layer.input_size,
        layer.hidden_size,
        count,
        bias=layer.bias,
        batch_first=layer.batch_first,
        bidirectional=layer.bidirectional,
        device=x.device,
        dtype=x.dtype,
        **more,
    )
    own = {name: value.detach() for name, value in layer.named_parameters() if name in dict(twin.named_parameters())}
    twin.load_state_dict(own)
    return plain(twin(given))
