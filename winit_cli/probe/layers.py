"""The layers of a module: modules with weights of their own, wherever they lie. B batch, H hidden units."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from winit_cli.schemes.slots import LAYERS, ROOT, Slot, slots


class Call(NamedTuple):
    """One call of a recurrent layer: what it was given, and the last states (and cells of an LSTM) that it gave beside
    its output."""

    given: Any
    state: Any
    last_states: Tensor | None
    last_cells: Tensor | None


@dataclass(eq=False)
class Layer:
    """A layer in the order of first calls: ``depth`` counts from 1. ``outputs`` are what it gave, call by call: its
    own outputs, or those of the norm layer that follows. ``activation`` is ``None`` where none was seen, and where it
    has parameters of its own. ``given`` is the mean square of what its last call began with, ``calls`` are those of a
    recurrent layer."""

    path: str
    module: nn.Module
    depth: int
    outputs: list[Tensor] = field(default_factory=list)
    activation: Callable[[Tensor], Tensor] | None = None
    activation_name: str = ""
    given: float = math.nan
    calls: list[Call] = field(default_factory=list)

    @property
    def is_recurrent(self) -> bool:
        """Whether its outputs are states, which its own activation has made."""
        return isinstance(self.module, nn.RNNBase | nn.RNNCellBase)

    @property
    def recurrence(self) -> str:
        """Torch's name for the kind of a recurrent layer: LSTM, GRU, RNN_TANH or RNN_RELU; of other cells that of their
        class; empty for other layers."""
        module = self.module
        if isinstance(module, nn.RNNBase):
            return module.mode
        if isinstance(module, nn.RNNCell):
            return f"RNN_{module.nonlinearity.upper()}"
        known = (name for cls, name in ((nn.LSTMCell, "LSTM"), (nn.GRUCell, "GRU")) if isinstance(module, cls))
        return next(known, type(module).__name__ if self.is_recurrent else "")

    @property
    def has_channels(self) -> bool:
        """Whether its units lie along the second dimension."""
        return isinstance(self.module, _ConvNd)

    @property
    def unit_count(self) -> int:
        """The number of its units."""
        shape = self.outputs[0].shape
        return shape[1 if self.has_channels else -1] if len(shape) > 1 else 1


def layer_paths(module: nn.Module) -> dict[str, nn.Module]:
    """The layers of a module by path: linear, convolutional, recurrent, attention and embedding layers, and modules of
    other kinds that hold a matrix and no further modules."""
    owners = {id(slot.module) for slot in slots(module) if slot.kind in LAYERS or _is_own_layer(slot)}
    return {path or ROOT: inner for path, inner in module.named_modules() if id(inner) in owners}


def in_branches(module: nn.Module) -> set[str]:
    """The paths of the layers that lie in residual branches."""
    return {slot.layer for slot in slots(module) if slot.branch is not None}


def _is_own_layer(slot: Slot) -> bool:
    inner = [name for name, _ in slot.module.named_children() if name != "parametrizations"]
    return slot.kind == "other" and len(slot.shape) > 1 and not inner


def call_of(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Call:
    """What a recurrent layer was given and gave."""
    given = dict(zip(("input", "hx"), args, strict=False)) | kwargs
    beside = out[1] if isinstance(out, tuple) else None
    if isinstance(module, nn.RNNCellBase):
        return Call(given.get("input"), given.get("hx"), None, beside)
    states, cells = beside if isinstance(beside, tuple) else (beside, None)
    return Call(given.get("input"), given.get("hx"), states, cells)
