"""The row that describes a model, and what a model is told about the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from winit_cli.errors import UsageError
from winit_cli.rng import DrawFrom, generator
from winit_cli.tables import Strict, options_of

ActivationName = Literal[
    "linear",
    "relu",
    "leaky_relu",
    "tanh",
    "sigmoid",
    "selu",
    "elu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "softsign",
    "hardtanh",
    "relu6",
]


@dataclass(frozen=True)
class Task:
    """What a model must fit: the shape of one input, the number of outputs, and how many of the last
    time steps have a target (0: one target per example)."""

    input_shape: tuple[int, ...]
    outputs: int
    target_steps: int = 0

    def described(self) -> str:
        """The inputs in words, for messages."""
        names = {1: "vectors (features)", 2: "sequences (time, features)", 3: "images (channels, height, width)"}
        kind = names.get(len(self.input_shape), "arrays")
        return f"{kind} of shape {self.input_shape}"


@dataclass(frozen=True)
class Model:
    """A named architecture. ``build(task, **options)`` returns the module; its options are the keyword-only
    parameters of ``build``. ``activation(options)`` names what ``gain: auto`` means.

    ``build`` raises ``UsageError`` where the data does not fit the architecture.
    """

    name: str
    summary: str
    build: Callable[..., nn.Module]
    activation: Callable[[Mapping[str, Any]], str] = lambda options: str(options["activation"])
    aliases: tuple[str, ...] = ()

    @property
    def options(self) -> type[Strict]:
        """The pydantic model of its options."""
        return options_of(self.build)


def activation_function(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """The function of ``torch.nn.functional`` with that name; ``linear`` is the identity."""
    if name == "linear":
        return lambda x: x
    function: Callable[[torch.Tensor], torch.Tensor] = getattr(torch.nn.functional, name)
    return function


def refuse_target_steps(task: Task, model: str) -> None:
    """Raise ``UsageError`` where the data has a target at several time steps, which ``model`` cannot give."""
    if task.target_steps:
        raise UsageError(
            f"{model} gives one output per example, but the data has targets at the last {task.target_steps} "
            "time steps; use model: lstm, gru or rnn"
        )


def construct(model: Model, task: Task, options: dict[str, Any], seed: int) -> nn.Module:
    """Build a model whose constructor draws from the generator ``(seed, "build")``, not from the global one."""
    source = generator(seed, "build")
    with DrawFrom(lambda filled: source):
        return model.build(task, **options)
