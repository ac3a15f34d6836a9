"""Watch one forward pass: what every layer gives before its activation, and which activation follows.

A layer is found in whatever module it lies, and its activation also where that is a call of a function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode

from winit_cli.errors import UsageError
from winit_cli.probe.arrays import mean_square
from winit_cli.probe.calling import forward
from winit_cli.probe.layers import Layer, call_of, layer_paths
from winit_cli.schemes.slots import ROOT
from winit_cli.theory.activations import ACTIVATIONS

IDENTITY = "linear"
_OTHER_ACTIVATIONS = {"celu", "hardswish", "hardsigmoid"}
_WITH_PARAMETERS = {"prelu"}
_NORMS = {"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"}
# what stands between a layer and its activation without being one
_PASSED = {"flatten", "reshape", "view", "unflatten", "squeeze", "unsqueeze", "transpose", "permute", "contiguous"}
_PASSED |= {"movedim", "dropout", *(f"{kind}_pool{d}d" for kind in ("max", "avg") for d in (1, 2, 3))}


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
                self._handles.append(inner.register_forward_hook(self._gave, with_kwargs=True))
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
            if args and isinstance(args[0], Tensor) and module in self._by_module:
                self._by_module[module].given = mean_square(args[0].detach())
            before = self._owner(args[0]) if args and module in self._by_module else None
            if before is not None and not before[0].activation_name:
                before[0].activation, before[0].activation_name = (lambda z: z), IDENTITY

        return begins

    def _gave(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Any:
        layer, first = self._by_module[module], out[0] if isinstance(out, tuple) else out
        layer.outputs.append(first.data if isinstance(first, PackedSequence) else first)
        if layer.is_recurrent:
            layer.calls.append(call_of(module, args, kwargs, out))
            return out if isinstance(first, PackedSequence) else _copied(out)
        copy = first.clone()
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
                layer.activation, layer.activation_name = _elsewhere(func, args[1:], given), name
        elif name in _WITH_PARAMETERS:
            layer.activation_name = layer.activation_name or name
        elif name in _NORMS and not layer.activation_name:
            layer.outputs[call], out = out, out.clone()
            self._owned[id(out)] = out, layer, call
        elif name in _PASSED:
            self._owned[id(out)] = out, layer, call
        return out


def _elsewhere(func: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Callable[[Tensor], Tensor]:
    """A call of an activation with these arguments that leaves its input as it is."""
    others = [value for value in args if value is not True]  # inplace, by its place
    named = {key: value for key, value in given.items() if key not in ("inplace", "input")}
    in_place = func.__name__.endswith("_")
    return lambda z: func(z.clone() if in_place else z, *others, **named)


def _copied(out: Any) -> Any:
    return tuple(map(_copied, out)) if isinstance(out, tuple) else out.clone()


def observed(module: nn.Module, x: Tensor) -> tuple[Observer, Tensor]:
    """What one forward pass shows, and its output.

    Raises:
        UsageError: no layer was called, or the output is no tensor; ForeignError where the module raised an error.
    """
    observer = Observer(module)
    with observer:
        out = forward(module, x)
    if not observer.layers:
        raise UsageError(f"{type(module).__name__} called no layer with weights; there is nothing to probe")
    return observer, out
