"""The row that describes a model, and what a model is told about the data."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from winit_cli.errors import UsageError
from winit_cli.foreign import blaming
from winit_cli.models.activations import OWN
from winit_cli.rng import DrawFrom, forked, generator
from winit_cli.tables import Strict, options_of
from winit_cli.theory.activations import OUTPUTS

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
    "sine",
    "crelu",
]

# what models call the number of their hidden layers, and of the units of each
SIZES = {"depth": ("depth", "layers", "num_layers"), "width": ("width", "hidden", "hidden_size")}


@dataclass(frozen=True)
class Task:
    """What a model must fit: the shape of one input, the number of outputs, how many of the last time steps have
    a target (0: one target per example), and how many tokens there are (0: inputs are numbers)."""

    input_shape: tuple[int, ...]
    outputs: int
    target_steps: int = 0
    vocabulary: int = 0

    def described(self) -> str:
        """The inputs in words, for messages."""
        if self.vocabulary:
            return f"tokens of shape {self.input_shape}, 0 to {self.vocabulary - 1}"
        names = {1: "vectors (features)", 2: "sequences (time, features)", 3: "images (channels, height, width)"}
        kind = names.get(len(self.input_shape), "arrays")
        return f"{kind} of shape {self.input_shape}"


@dataclass(frozen=True)
class Model:
    """A named architecture. ``build(task, **options)`` returns the module; its options are the keyword-only
    parameters of ``build``. ``activation(options)`` names what ``gain: auto`` means, or ``None``.
    ``source`` is the SHA-256 of the code of a model that is not winit's own: such a model may draw from global
    generators, in its constructor and in its forward pass.

    ``build`` raises ``UsageError`` where the data does not fit the architecture.
    """

    name: str
    build: Callable[..., nn.Module]
    summary: str = ""
    activation: Callable[[Mapping[str, Any]], str | None] = lambda options: str(options["activation"])
    aliases: tuple[str, ...] = ()
    source: str = ""

    @property
    def options(self) -> type[Strict]:
        """The pydantic model of its options."""
        return options_of(self.build)

    @property
    def size_options(self) -> dict[str, str]:
        """What it calls its ``depth`` and its ``width``, where it has them."""
        given = self.options.model_fields
        found = {axis: next((name for name in names if name in given), None) for axis, names in SIZES.items()}
        return {axis: name for axis, name in found.items() if name}


def activation_function(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """The function of ``torch.nn.functional`` with that name, or one that torch lacks; ``linear`` is the identity."""
    if name == "linear":
        return lambda x: x
    function: Callable[[torch.Tensor], torch.Tensor] = OWN.get(name) or getattr(torch.nn.functional, name)
    return function


def refuse_tokens(task: Task, model: str) -> None:
    """Raise ``UsageError`` where the inputs are tokens, for which ``model`` has no embedding."""
    if task.vocabulary:
        raise UsageError(f"{model} reads numbers, but the data has {task.described()}; use model: transformer")


def refuse_target_steps(task: Task, model: str) -> None:
    """Raise ``UsageError`` where the data has a target at several time steps, which ``model`` cannot give."""
    refuse_tokens(task, model)
    if task.target_steps:
        raise UsageError(
            f"{model} gives one output per example, but the data has targets at the last {task.target_steps} "
            "time steps; use model: lstm, gru, rnn or transformer"
        )


def refuse_doubling(activation: str, model: str) -> None:
    """Raise ``UsageError`` where an activation gives two numbers for one, for which ``model`` has no room."""
    if activation in OUTPUTS:
        raise UsageError(f"{model} has no form for {activation}, which doubles the units; use model: mlp")


def construct(
    model: Model, task: Task, options: Mapping[str, Any], seed: int, example: torch.Tensor | None = None
) -> nn.Module:
    """Build a model whose constructor draws from the generator ``(seed, "build")``, not from the global one.

    Lazy modules get their shapes from a forward pass of ``example`` (B, *input_shape).
    """
    source = generator(seed, "build")
    with forked(seed, "build") if model.source else contextlib.nullcontext(), DrawFrom(lambda filled: source):
        built = model.build(task, **options)
        if example is not None:
            materialize(built, example)
    return built


def materialize(module: nn.Module, example: torch.Tensor) -> None:
    """Give the parameters of lazy modules their shapes by one forward pass in evaluation mode."""
    if any(is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers())):
        was_training = module.training
        module.eval()
        with torch.no_grad(), blaming(f"the first forward pass of {type(module).__name__}"):
            module(example.clone())
        module.train(was_training)
