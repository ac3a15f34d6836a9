"""Models whose layers follow one another, with nothing beside them: what theory can follow from layer to layer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from winit_cli.lint.filled import Filled
from winit_cli.setting import Setting
from winit_cli.theory.derivatives import DERIVATIVES
from winit_cli.theory.moments import fans

HIDDEN = {"mlp": "layers", "cnn": "convs"}  # where the hidden layers of such a model lie


@dataclass(frozen=True)
class Pool:
    """What stands between an activation and the next layer: the largest, or the mean, of so many positions."""

    kind: str = "none"
    positions: int = 1


@dataclass(frozen=True)
class Layer:
    """A layer: its path, its weight and bias, ``pool`` before it, and which part of its fan_in lies inside the image on
    average, the rest being a margin of zeros."""

    path: str
    weight: Filled
    bias: Filled | None
    pool: Pool = Pool()
    inside: float = 1.0

    @property
    def fan_in(self) -> int:
        """Weights that lead into a unit."""
        return fans(self.weight.slot.block_shape)[0]

    @property
    def is_conv(self) -> bool:
        """Whether its units lie at every position of an image."""
        return self.weight.slot.kind == "conv"

    @property
    def units(self) -> int:
        """How many there are, channels of a convolution."""
        return self.weight.slot.shape[0]


@dataclass(frozen=True)
class Chain:
    """The layers in order, the head last, and the activation after each but the head."""

    layers: tuple[Layer, ...]
    activation: str

    @property
    def hidden(self) -> tuple[Layer, ...]:
        """All but the head."""
        return self.layers[:-1]


def chain_of(setting: Setting, parameters: Mapping[str, Filled]) -> Chain | None:
    """The layers of a model of winit's own that is such a chain; ``None`` for all others, and with norm layers, which
    set each signal's size anew."""
    options = setting.experiment.model.options
    hidden = None if setting.model.source else HIDDEN.get(setting.model.name)
    activation = setting.model.activation(options)
    if hidden is None or activation not in DERIVATIVES or options.get("norm", "none") != "none":
        return None
    paths = [name.removesuffix(".weight") for name in parameters if re.fullmatch(rf"{hidden}\.\d+\.weight", name)]
    layers = [
        Layer(path, parameters[f"{path}.weight"], parameters.get(f"{path}.bias"), *around)
        for path, around in zip([*paths, "head"], _surroundings(setting, len(paths)), strict=True)
    ]
    return Chain(tuple(layers), activation)


def _surroundings(setting: Setting, hidden: int) -> Iterator[tuple[Pool, float]]:
    """For each layer, the head last: the pool before it, and the part of its inputs inside the image."""
    options = setting.experiment.model.options
    if setting.model.name != "cnn":
        yield from [(Pool(), 1.0)] * (hidden + 1)
        return
    height, width = setting.task.input_shape[1:]
    kind, kernel, repeat = options["pool"], options["kernel_size"], options["repeat"]
    for depth in range(hidden):
        is_pooled = kind != "none" and depth > 0 and depth % repeat == 0
        if is_pooled:
            height, width = height // 2, width // 2
        yield (Pool(kind, 4) if is_pooled else Pool()), _inside(height, kernel) * _inside(width, kernel)
    yield Pool("avg", height * width), 1.0


def _inside(size: int, kernel: int) -> float:
    """The average part of a kernel, as wide as it moves along a side of this size, that lies inside."""
    margin = (kernel - 1) // 2
    taken = sum(min(size, at + kernel - margin) - max(0, at - margin) for at in range(size))
    return taken / (kernel * size)
