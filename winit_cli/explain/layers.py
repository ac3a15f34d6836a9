"""One layer in words, ``conv:16x32x3,groups=4``, and the torch module that it means."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from winit_cli.errors import UsageError
from winit_cli.theory.activations import OUTPUTS

TEXT = re.compile(r"(?P<kind>\w+):(?P<sizes>\d+(?:x\d+)+)(?:,groups=(?P<groups>\d+))?", re.ASCII)
FORMS = (
    "linear:784x100 (inputs x outputs), conv:16x32x3 (inputs x outputs x kernel)[,groups=4], lstm:28x64 (inputs x "
    "hidden; also gru, rnn), embedding:1000x64 (rows x dimensions), conv1d:16x32x3 or conv3d:16x32x3"
)
# kind: class of torch.nn, and its numbers of dimensions of a kernel
KINDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "linear": ("Linear", (0,)),
    "conv": ("Conv2d", (1, 2)),
    "conv1d": ("Conv1d", (1,)),
    "conv3d": ("Conv3d", (1, 3)),
    "lstm": ("LSTM", (0,)),
    "gru": ("GRU", (0,)),
    "rnn": ("RNN", (0,)),
    "embedding": ("Embedding", (0,)),
}
GATES = {"lstm": ("i", "f", "g", "o"), "gru": ("r", "z", "n")}  # in the order of torch's packed weights


@dataclass(frozen=True)
class Layer:
    """A kind of layer with inputs, outputs (hidden units) and the kernel's sizes."""

    kind: str
    sizes: tuple[int, ...]
    groups: int = 1

    def __str__(self) -> str:
        groups = f",groups={self.groups}" if self.groups > 1 else ""
        return f"{self.kind}:{'x'.join(map(str, self.sizes))}{groups}"

    @property
    def is_recurrent(self) -> bool:
        """Whether it has a state."""
        return self.kind in ("lstm", "gru", "rnn")

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of its gates, in the order of torch's packed weights."""
        return GATES.get(self.kind, ())

    @property
    def outputs(self) -> int:
        """Units or channels that come out."""
        return self.sizes[1]

    @property
    def code(self) -> str:
        """``nn.Conv2d(16, 32, 3, groups=4)``."""
        return f"nn.{KINDS[self.kind][0]}({', '.join([*map(str, self._arguments), *self._groups])})"

    def square(self, activation: str) -> Layer:
        """A layer of the same kind and as many units that takes what the activation makes of this one's: as many inputs
        as outputs, but for crelu, which gives two of each."""
        return replace(self, sizes=(self.outputs * OUTPUTS.get(activation, 1), *self.sizes[1:]))

    def module(self) -> nn.Module:
        """The layer on the meta device, without memory.

        Raises:
            UsageError: torch has no such layer.
        """
        made: Any = getattr(nn, KINDS[self.kind][0])
        options = {"groups": self.groups} if self.groups > 1 else {}
        try:
            with torch.device("meta"):
                module: nn.Module = made(*self._arguments, **options)
        except (ValueError, RuntimeError, OverflowError, TypeError) as error:
            raise UsageError(f"--layer {self}: {str(error).splitlines()[0]}; expected {FORMS}") from None
        return module

    @property
    def _arguments(self) -> tuple[Any, ...]:
        kernel = self.sizes[2:]
        return (*self.sizes[:2], *((kernel[0],) if len(kernel) == 1 else (kernel,) if kernel else ()))

    @property
    def _groups(self) -> list[str]:
        return [f"groups={self.groups}"] if self.groups > 1 else []


def layer_of(text: str) -> Layer:
    """The layer that a text describes.

    Raises:
        UsageError: the text describes no layer.
    """
    found = TEXT.fullmatch(text)
    sizes = tuple(int(size) for size in found["sizes"].split("x")) if found else ()
    if found is None or 0 in sizes or found["kind"] not in KINDS:
        raise UsageError(f"--layer {text}: expected {FORMS}")
    layer = Layer(found["kind"], sizes, int(found["groups"] or 1))
    if len(sizes) - 2 not in KINDS[layer.kind][1] or (layer.groups > 1 and "conv" not in layer.kind):
        raise UsageError(f"--layer {text}: expected {FORMS}")
    return layer
