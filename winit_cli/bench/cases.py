"""The networks that are timed, and how many operations a training step of each takes. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from winit_cli.tables import find, table

CLASSES, SIDE = 10, 28  # of MNIST
KERNEL = 3
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True)
class Case:
    """A model on MNIST's images, which recurrent models read row by row."""

    name: str
    model: str
    options: Mapping[str, Any]
    batch_size: int = 64
    aliases: tuple[str, ...] = ()

    @property
    def flops(self) -> int:
        """Floating-point operations of one training step: two per multiplication and addition of the products.

        The forward pass once, the gradients of the weights as many again, those of the inputs as many again but for the
        first layer, which needs none. Activations, biases, losses and updates are left out.
        """
        first, rest = _products(self.model, self.options)
        return 2 * self.batch_size * (2 * first + 3 * rest)


def _products(model: str, options: Mapping[str, Any]) -> tuple[int, int]:
    """Multiplications per example of the products with the input, and of all others."""
    if model == "mlp":
        hidden = [options["width"]] * options["depth"]
        first, *rest = [a * b for a, b in pairwise([SIDE * SIDE, *hidden, CLASSES])]
    elif model == "cnn":
        channels = options["channels"]
        sizes = [(SIDE >> layer) ** 2 for layer in range(len(channels))]
        layers = zip(sizes, pairwise([1, *channels]), strict=True)
        first, *rest = [size * KERNEL**2 * a * b for size, (a, b) in layers]
        rest.append(channels[-1] * CLASSES)
    else:
        hidden = options["hidden"]
        first = SIDE * SIDE * hidden * GATES[model]
        rest = [SIDE * hidden * hidden * GATES[model], hidden * CLASSES]
    return first, sum(rest)


CASES: dict[str, Case] = table(
    Case("mlp-small", "mlp", {"width": 32, "depth": 2}),
    Case("mlp-medium", "mlp", {"width": 100, "depth": 3}),
    Case("mlp-deep", "mlp", {"width": 64, "depth": 10}, batch_size=32),
    Case("mlp-large", "mlp", {"width": 256, "depth": 3}, batch_size=128),
    Case("cnn-small", "cnn", {"channels": [8, 16, 16]}),
    Case("cnn-medium", "cnn", {"channels": [16, 32, 32]}),
    Case("cnn-large", "cnn", {"channels": [32, 64, 64]}, batch_size=32),
    Case("lstm-small", "lstm", {"hidden": 32}),
    Case("lstm-medium", "lstm", {"hidden": 64}),
    Case("lstm-large", "lstm", {"hidden": 128}),
    Case("gru-medium", "gru", {"hidden": 64}),
    Case("rnn-medium", "rnn", {"hidden": 64}),
)


def cases_named(names: str | None) -> list[Case]:
    """The cases of a comma-separated list, in the order of the table; all without one.

    Raises:
        UsageError: there is no such case.
    """
    if names is None:
        return list(CASES.values())
    wanted = {find(CASES, name.strip(), "case").name for name in names.split(",")}
    return [case for case in CASES.values() if case.name in wanted]
