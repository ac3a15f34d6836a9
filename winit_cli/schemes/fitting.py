"""What schemes work with that look at training examples: a model that is filled, and what it makes of them.

B examples.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from winit_cli.errors import UsageError
from winit_cli.schemes.kinds import LAYERS
from winit_cli.schemes.slots import Slot

LossFunction = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Examples:
    """Training inputs x (N, …), targets y, and the loss of outputs and targets, the mean over examples; targets and
    loss may be missing where no scheme asks for them."""

    x: Tensor
    y: Tensor | None = None
    loss: LossFunction | None = None


@dataclass
class Cost:
    """What looking at data took: forward or backward passes over a batch, and seconds."""

    passes: int = 0
    seconds: float = 0.0

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Add the time that the block takes."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - start


@dataclass(frozen=True)
class Fitting:
    """A model whose parameters have their starting values, for a scheme that goes on to change those in ``slots``.

    ``generator`` draws which training examples are seen, and whatever else the scheme draws.
    """

    scheme: str
    module: nn.Module
    slots: Sequence[Slot]
    examples: Examples
    generator: Generator
    cost: Cost = field(default_factory=Cost)

    def batch(self, count: int) -> Tensor:
        """Inputs (B, …): ``count`` training examples drawn without replacement, or all if there are fewer."""
        return self.examples.x[self._drawn(count)]

    def batch_with_targets(self, count: int) -> tuple[Tensor, Tensor]:
        """Inputs (B, …) and their targets.

        Raises:
            UsageError: there are no targets.
        """
        if self.examples.y is None:
            raise UsageError(f"{self.scheme} looks at targets too: give batch=(x, y)")
        index = self._drawn(count)
        return self.examples.x[index], self.examples.y[index]

    def _drawn(self, count: int) -> Tensor:
        return torch.randperm(len(self.examples.x), generator=self.generator)[:count]

    def forward(self, x: Tensor) -> Tensor:
        """The model's output for a batch."""
        self.cost.passes += 1
        out: Tensor = self.module(x)
        return out

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """The loss of a batch."""
        assert self.examples.loss is not None
        return self.examples.loss(self.forward(x), y)

    def weights(self, x: Tensor) -> list[Slot]:
        """The weights among the slots in the order in which their layers are first called.

        Raises:
            UsageError: the model's forward pass does not call the layer of one of them.
        """
        called: dict[nn.Module, None] = {}
        wanted = [slot for slot in self.slots if slot.kind in LAYERS]
        with _hooked({slot.module for slot in wanted}, lambda module, given, out: called.setdefault(module)):
            self.forward(x)
        order = list(called)
        missing = [slot.name for slot in wanted if slot.module not in called]
        if missing:
            raise UsageError(
                f"{self.scheme} cannot see what {', '.join(missing)} gives, as the model's forward pass does not call "
                "the layer; give it another scheme by a rule"
            )
        return sorted(wanted, key=lambda slot: order.index(slot.module))

    def responses(self, slot: Slot, x: Tensor) -> Tensor:
        """What a weight makes of its inputs, in every call of its layer: (…, outputs), or channels second for
        convolutions. Of a recurrent layer's input weights the projection of its inputs."""
        found: list[Tensor] = []

        def keep(module: nn.Module, given: Any, out: Any) -> None:
            found.append(_projection(slot, _plain(given)) if slot.kind == "recurrent" else _plain(out))

        with _hooked({slot.module}, keep):
            self.forward(x)
        return torch.cat([part.reshape(-1, *part.shape[1:]) for part in found])


@contextlib.contextmanager
def _hooked(modules: set[nn.Module], see: Callable[[nn.Module, Any, Any], object]) -> Iterator[None]:
    """``see(module, first argument, output)`` at every call."""

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> None:
        see(module, args[0] if args else next(iter(kwargs.values())), out)

    handles = [module.register_forward_hook(hook, with_kwargs=True) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _plain(value: Any) -> Tensor:
    first = value[0] if isinstance(value, tuple) and not isinstance(value, PackedSequence) else value
    return cast(Tensor, first.data if isinstance(first, PackedSequence) else first)


def _projection(slot: Slot, x: Tensor) -> Tensor:
    """The inputs of a recurrent layer, or the states of the layers below, times a weight of theirs."""
    _, _, place = slot.local.partition("_l")
    below = int(place.partition("_")[0] or 0) if place else 0
    states = _states_below(cast(nn.RNNBase, slot.module), below, x) if below else x
    return F.linear(states, slot.parameter)


def _states_below(layer: nn.RNNBase, count: int, x: Tensor) -> Tensor:
    """The states of the first ``count`` layers that a recurrent module stacks."""
    cls: Any = type(layer)
    more: dict[str, Any] = {"proj_size": layer.proj_size} if layer.proj_size else {}
    if layer.mode.startswith("RNN_"):
        more["nonlinearity"] = layer.mode.removeprefix("RNN_").lower()
    twin = cls(
        layer.input_size,
        layer.hidden_size,
        count,
        bias=layer.bias,
        batch_first=layer.batch_first,
        bidirectional=layer.bidirectional,
        device=x.device,
        dtype=x.dtype,
        **more,
    )
    own = {name: value.detach() for name, value in layer.named_parameters() if name in dict(twin.named_parameters())}
    twin.load_state_dict(own)
    return cast(Tensor, twin(x)[0])


@contextlib.contextmanager
def looking(module: nn.Module) -> Iterator[None]:
    """Dropout layers are off and batch norms see their batch; afterwards modes, buffers and gradients are as before."""
    modes = {inner: inner.training for inner in module.modules()}
    buffers = {name: value.clone() for name, value in module.named_buffers()}
    grads = {parameter: parameter.grad for parameter in module.parameters()}
    module.eval()
    for inner in module.modules():
        if isinstance(inner, nn.modules.batchnorm._NormBase):
            inner.train()
    try:
        yield
    finally:
        for inner, mode in modes.items():
            inner.training = mode
        with torch.no_grad():
            for name, value in module.named_buffers():
                value.copy_(buffers[name])
        for parameter, grad in grads.items():
            parameter.grad = grad
