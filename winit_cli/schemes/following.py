"""Follow mean and variance of a signal through a model, operation by operation, in one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from winit_cli.errors import UsageError
from winit_cli.schemes.operations import OPERATIONS, SINGLE, Call, name_of
from winit_cli.schemes.responses import plain
from winit_cli.schemes.signal import Signal

Enter = Callable[[nn.Module, Signal, Any], Signal]


class Follower(TorchFunctionMode):
    """Knows the signal of every tensor that comes of ``x``, which is measured.

    ``enter(layer, signal, input)`` is called before each call of one of ``layers``, and says what that gives.
    """

    def __init__(self, x: Tensor, layers: Iterable[nn.Module], enter: Enter) -> None:
        super().__init__()
        self._layers, self._enter = list(layers), enter
        self._known: dict[int, tuple[Tensor, Signal]] = {id(x): (x, Signal.of(x))}  # kept, or its id might return
        self._inside: list[Signal] = []  # what the layers that are running give
        self._handles: list[Any] = []

    def __enter__(self) -> Follower:
        for module in self._layers:
            self._handles.append(module.register_forward_pre_hook(self._before, with_kwargs=True))
            self._handles.append(module.register_forward_hook(self._after))
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for handle in self._handles:
            handle.remove()
        self._known.clear()

    def _before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = args[0] if args else next(iter(kwargs.values()))
        self._inside.append(Signal(0, 0))  # from here on no operation is followed
        self._inside[-1] = self._enter(module, self._signal(plain(given)), given)

    def _after(self, module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        self._note(out, self._inside.pop())

    def _note(self, out: Any, signal: Signal) -> None:
        for part in _parts(out):
            self._known[id(part)] = part, signal

    def _signal(self, value: Any) -> Signal:
        """What is known of a tensor; a constant is measured."""
        if isinstance(value, Tensor):
            return self._known[id(value)][1] if id(value) in self._known else Signal.of(value)
        return Signal(float(value), 0)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        out = func(*args, **named)
        carried = [part for part in _parts([*args, *named.values()]) if id(part) in self._known]
        if carried and not self._inside and (_parts(out) or out is None):
            self._note(out, self._follow(Call(func, args, named, out, self._signal), len(carried)))
        return out

    def _follow(self, call: Call, carried: int) -> Signal:
        name = name_of(call.func)
        if name not in OPERATIONS or (name in SINGLE and carried > 1):
            refuse(f"{name} of two signals" if name in SINGLE else name)
        return OPERATIONS[name](call)


def _parts(value: Any) -> list[Tensor]:
    """The tensors in a value that hold numbers, rather than masks and indices."""
    if isinstance(value, Tensor):
        return [value] if value.is_floating_point() else []
    if isinstance(value, tuple | list):
        return [part for one in value for part in _parts(one)]
    return [value.data] if type(value).__name__ == "PackedSequence" else []


def refuse(what: str) -> NoReturn:
    """Say what cannot be followed.

    Raises:
        UsageError: always.
    """
    raise UsageError(
        f"autoinit cannot follow the signal through {what}; it knows layers, activations, norms, pooling, dropout and "
        "sums. Use lsuv, which measures what autoinit computes"
    )
