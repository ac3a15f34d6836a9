"""Watch one forward pass: what every layer gives before its activation, and which activation follows.

A layer is a module with weights of its own; it is found in whatever module it lies, and its activation also where that
is a call of a function. B batch, U units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode

from winit_cli.schemes.slots import LAYERS, ROOT, Slot, slots
from winit_cli.theory.activations import ACTIVATIONS

IDENTITY = "linear"
_OTHER_ACTIVATIONS = {"celu", "hardswish", "hardsigmoid"}
_WITH_PARAMETERS = {"prelu"}
_NORMS = {"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"}
# what stands between a layer and its activation without being one
_PASSED = {"flatten", "reshape", "view", "unflatten", "squeeze", "unsqueeze", "transpose", "permute", "contiguous"}
_PASSED |= {"movedim", "dropout", *(f"{kind}_pool{d}d" for kind in ("max", "avg") for d in (1, 2, 3))}


@dataclass(eq=False)
class Layer:
    """A layer in the order of first calls: ``depth`` counts from 1. ``outputs`` are what it gave, call by call: its
    own outputs, or those of the norm layer that follows. ``activation`` is ``None`` where none was seen, and where it
    has parameters of its own."""

    path: str
    module: nn.Module
    depth: int
    outputs: list[Tensor] = field(default_factory=list)
    activation: Callable[[Tensor], Tensor] | None = None
    activation_name: str = ""

    @property
    def is_recurrent(self) -> bool:
        """Whether its outputs are states, which its own activation has made."""
        return isinstance(self.module, nn.RNNBase | nn.RNNCellBase)

    @property
    def has_channels(self) -> bool:
        """Whether its units lie along the second dimension."""
        return isinstance(self.module, _ConvNd)


def layer_paths(module: nn.Module) -> dict[str, nn.Module]:
    """The layers of a module by path: linear, convolutional, recurrent, attention and embedding layers, and modules of
    other kinds that hold a matrix and no further modules."""
    owners = {id(slot.module) for slot in slots(module) if slot.kind in LAYERS or _is_own_layer(slot)}
    return {path or ROOT: inner for path, inner in module.named_modules() if id(inner) in owners}


def _is_own_layer(slot: Slot) -> bool:
    inner = [name for name, _ in slot.module.named_children() if name != "parametrizations"]
    return slot.kind == "other" and len(slot.shape) > 1 and not inner


class Observer(TorchFunctionMode):
    """Watches all calls of torch's functions inside its context, and the modules that it is given.

    Layers hand on a copy of their output, so that what changes it in place does not change what is measured.
    ``depths`` says of every module that was called, by path, after how many layers.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.layers: list[Layer] = []
        self.depths: dict[str, int] = {}
        self._module, self._paths = module, layer_paths(module)
        self._by_module: dict[nn.Module, Layer] = {}
        self._owned: dict[int, tuple[Tensor, Layer, int]] = {}  # the tensor is kept, or its id might return
        self._handles: list[Any] = []

    def __enter__(self) -> Observer:
        for path, inner in self._module.named_modules():
            self._handles.append(inner.register_forward_pre_hook(self._begins(path)))
            if (path or ROOT) in self._paths:
                self._handles.append(inner.register_forward_hook(self._gave))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()
        self._owned.clear()

    def _begins(self, path: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def begins(module: nn.Module, args: tuple[Any, ...]) -> None:
            if (path or ROOT) in self._paths and module not in self._by_module:
                self.layers.append(Layer(path or ROOT, module, len(self.layers) + 1))
                self._by_module[module] = self.layers[-1]
            self.depths.setdefault(path, max(1, len(self.layers)))
            before = self._owner(args[0]) if args and module in self._by_module else None
            if before is not None and not before[0].activation_name:
                before[0].activation, before[0].activation_name = (lambda z: z), IDENTITY

        return begins

    def _gave(self, module: nn.Module, args: tuple[Any, ...], out: Any) -> Any:
        layer, first = self._by_module[module], out[0] if isinstance(out, tuple) else out
        if isinstance(first, PackedSequence):
            layer.outputs.append(first.data)
            return out
        layer.outputs.append(first)
        copy = first.clone()
        if not layer.is_recurrent:
            self._owned[id(copy)] = copy, layer, len(layer.outputs) - 1
        return (copy, *out[1:]) if isinstance(out, tuple) else copy

    def _owner(self, value: object) -> tuple[Layer, int] | None:
        found = self._owned.get(id(value))
        return found and found[1:]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        out = func(*args, **given)
        source = self._owner(args[0] if args else given.get("input"))
        if source is None or not isinstance(out, Tensor):
            return out
        return self._follow(source, func, args, given, out)

    def _follow(
        self, source: tuple[Layer, int], func: Any, args: tuple[Any, ...], given: dict[str, Any], out: Tensor
    ) -> Tensor:
        (layer, call), name = source, getattr(func, "__name__", "").rstrip("_")
        if name in ACTIVATIONS or name in _OTHER_ACTIVATIONS:
            self._owned.pop(id(out), None)  # changed in place
            if not layer.activation_name:
                rest = {key: value for key, value in given.items() if key not in ("inplace", "input")}
                layer.activation, layer.activation_name = (lambda z: func(z.clone(), *args[1:], **rest)), name
        elif name in _WITH_PARAMETERS:
            layer.activation_name = layer.activation_name or name
        elif name in _NORMS and not layer.activation_name:
            layer.outputs[call], out = out, out.clone()
            self._owned[id(out)] = out, layer, call
        elif name in _PASSED:
            self._owned[id(out)] = out, layer, call
        return out
