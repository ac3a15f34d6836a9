"""What torch's functions make of mean and variance of their arguments, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from winit_cli.schemes.signal import Signal, mixed
from winit_cli.theory.activations import ACTIVATIONS, Array, kinks


@dataclass(frozen=True)
class Call:
    """A call of a function; ``signal`` knows that of any argument."""

    func: Any
    args: Sequence[Any]
    named: dict[str, Any]
    out: Any
    signal: Callable[[Any], Signal]

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        """By its place or its name."""
        return self.args[place] if place < len(self.args) else self.named.get(name, default)

    @property
    def input(self) -> Any:
        return self.argument(0, "input")

    @property
    def first(self) -> Signal:
        """The signal that goes in."""
        return self.signal(self.input)

    @property
    def second(self) -> Signal:
        return self.signal(self.argument(1, "other"))

    @property
    def shrinks(self) -> float:
        """How many values go in for each that comes out."""
        return float(self.input.numel() / self.out.numel())


def name_of(func: Any) -> str:
    """Without the underscore of what works in place."""
    name: str = getattr(func, "__name__", "")
    return name if name.startswith("__") else name.rstrip("_")


def _activation(call: Call) -> Signal:
    """The very function that was called, with its options."""
    rest = [value.detach().double().mean().cpu() if isinstance(value, Tensor) else value for value in call.args[1:]]
    named = {key: value for key, value in call.named.items() if key not in ("input", "inplace")}

    def function(u: Array) -> Array:
        found: Array = call.func(torch.from_numpy(u.copy()), *rest, **named).numpy()
        return found

    return call.first.through(function, kinks(name_of(call.func)))


def _sum(call: Call) -> Signal:
    sign = -1 if name_of(call.func) == "sub" else 1
    if call.input is call.argument(1, "other"):
        return call.first.scaled(1 + sign)
    return call.first.plus(call.second.scaled(sign * call.named.get("alpha", 1)))


def _quotient(call: Call) -> Signal:
    divisor = call.argument(1, "other")
    return call.first.times(call.signal(divisor.reciprocal() if isinstance(divisor, Tensor) else 1 / divisor))


def _largest(call: Call) -> Signal:
    size = call.argument(1, "kernel_size")
    dims = call.input.dim() - 2 if call.input.dim() == call.out.dim() else 1
    whole = round(call.shrinks) if name_of(call.func).startswith(("ada", "amax")) else 0
    return call.first.largest(whole or (size**dims if isinstance(size, int) else math.prod(size)))


def _average(call: Call) -> Signal:
    size = call.argument(1, "kernel_size")
    if not name_of(call.func).startswith("avg"):
        return call.first.averaged(call.shrinks)
    dims = int(name_of(call.func)[-2])
    return call.first.averaged(size**dims if isinstance(size, int) else math.prod(size))


def _beside(call: Call) -> Signal:
    return mixed([(call.signal(part), part.numel()) for part in call.argument(0, "tensors")])


def _padded(call: Call) -> Signal:
    if call.argument(2, "mode", "constant") != "constant":
        return call.first
    filled = Signal(float(call.argument(3, "value") or 0), 0)
    return mixed([(call.first, call.input.numel()), (filled, call.out.numel() - call.input.numel())])


def _root_mean_square(call: Call) -> Signal:
    return call.first.scaled(call.first.square**-0.5)


# in another form or place, the same values
PASSED = (
    *(
        "flatten",
        "reshape",
        "view",
        "unflatten",
        "squeeze",
        "unsqueeze",
        "transpose",
        "permute",
        "contiguous",
        "movedim",
    ),
    *("swapaxes", "t", "clone", "detach", "to", "float", "double", "expand", "expand_as", "repeat", "flip", "roll"),
    *(
        "chunk",
        "split",
        "unbind",
        "narrow",
        "select",
        "index_select",
        "view_as",
        "__getitem__",
        "__get__",
        "cpu",
        "cuda",
    ),
    *("_pack_padded_sequence", "_pad_packed_sequence"),
)
ELEMENTWISE = (
    *(name for name in ACTIVATIONS if name != "linear"),
    *("celu", "hardswish", "hardsigmoid", "logsigmoid", "prelu", "tanhshrink", "softshrink", "hardshrink", "threshold"),
    *("abs", "square", "pow", "exp", "sin", "cos", "erf", "clamp", "clamp_min"),
)
OPERATIONS: dict[str, Callable[[Call], Signal]] = {
    **dict.fromkeys(PASSED, lambda call: call.first),
    **dict.fromkeys(ELEMENTWISE, _activation),
    **dict.fromkeys(("batch_norm", "layer_norm", "group_norm", "instance_norm"), lambda call: Signal(0, 1)),
    "rms_norm": _root_mean_square,
    **dict.fromkeys(("add", "sub"), _sum),
    "__rsub__": lambda call: call.second.plus(call.first.scaled(-1)),
    "neg": lambda call: call.first.scaled(-1),
    "mul": lambda call: call.first.times(call.second),
    "div": _quotient,
    "sum": lambda call: call.first.averaged(call.shrinks).scaled(call.shrinks),
    **dict.fromkeys((f"{kind}_pool{d}d" for kind in ("avg", "adaptive_avg") for d in (1, 2, 3)), _average),
    "mean": _average,
    **dict.fromkeys((f"{kind}_pool{d}d" for kind in ("max", "adaptive_max") for d in (1, 2, 3)), _largest),
    "amax": _largest,
    **dict.fromkeys(("cat", "concat", "stack"), _beside),
    "pad": _padded,
    **dict.fromkeys(
        ("dropout", "dropout1d", "dropout2d", "dropout3d"), lambda call: call.first.dropped(call.argument(1, "p", 0.5))
    ),
}
SINGLE = ("mul", "div")  # of which only one argument may carry the signal: it is not independent of itself
