"""What schemes work with that look at training examples: a model that is filled, and what it makes of them.

B examples.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call

from winit_cli.errors import UsageError
from winit_cli.schemes.kinds import LAYERS
from winit_cli.schemes.responses import PACKED, hooked, response
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
    """What looking at data took: forward or backward passes over a batch, and seconds; and in words what a scheme saw
    there that it could not work with, so that parameters stayed as they were by then."""

    passes: int = 0
    seconds: float = 0.0
    remarks: list[str] = field(default_factory=list)

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

    @property
    def told(self) -> str:
        """What it is about, for messages about what goes wrong in it."""
        y, kinds = self.examples.y, {_kind_of(parameter): None for parameter in self.module.parameters()}
        given = f"{_told(self.examples.x)}{'' if y is None else f' and targets of shape {_told(y)}'}"
        name = type(self.module).__name__
        return f"scheme {self.scheme}, with inputs of shape {given} for {name} ({', '.join(kinds)}),"

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

    def loss(self, x: Tensor, y: Tensor, values: Mapping[str, Tensor] | None = None) -> Tensor:
        """The loss of a batch, with other values of parameters where they are given by name."""
        assert self.examples.loss is not None
        if values:
            self.cost.passes += 1
        out = functional_call(self.module, dict(values), (x,)) if values else self.forward(x)
        loss = self.examples.loss(out, y)
        if not isinstance(loss, Tensor) or loss.dim() != 0:
            what = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
            raise UsageError(f"the loss of a batch is {what}, expected a scalar: the mean over the examples")
        return loss

    def gradients(
        self, value: Tensor, of: Sequence[Tensor], *, differentiable: bool = False, again: bool = False
    ) -> tuple[Tensor, ...]:
        """The derivatives of a number, zeros where it does not depend on something; ``again`` keeps what a further call
        needs.

        Raises:
            UsageError: torch has no such derivatives.
        """
        self.cost.passes += 1
        kept = differentiable or again
        try:
            return torch.autograd.grad(
                value, of, create_graph=differentiable, retain_graph=kept, materialize_grads=True
            )
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise UsageError(f"{self.scheme} needs derivatives that torch lacks for this model ({reason})") from None

    def weights(self, x: Tensor) -> list[Slot]:
        """The weights among the slots in the order in which their layers are first called.

        Raises:
            UsageError: the forward pass uses one of them without a call of its layer, or not at all.
        """
        called: dict[nn.Module, None] = {}
        wanted = [slot for slot in self.slots if slot.kind in LAYERS]
        with hooked({slot.module for slot in wanted}, lambda module, given, out: called.setdefault(module)):
            self.forward(x)
        order = list(called)
        missing = [slot.name for slot in wanted if slot.module not in called or _is_hidden(slot)]
        if missing:
            rules = ", ".join(f'{{params: "{name}", scheme: orthogonal}}' for name in missing)
            raise UsageError(
                f"{self.scheme} cannot see what {', '.join(missing)} gives: its layer is not called as a module in the "
                f"forward pass; give it another scheme by a rule, e.g. rules: [{rules}], others: {self.scheme}"
            )
        return sorted(wanted, key=lambda slot: order.index(slot.module))

    def responses(self, slot: Slot, x: Tensor) -> Tensor:
        """What a weight makes of its inputs in all calls of its layer: (outputs, values of each)."""
        found: list[Tensor] = []
        with hooked({slot.module}, lambda module, given, out: found.append(response(slot, given, out))):
            self.forward(x)
        return torch.cat(found, 1)


def _is_hidden(slot: Slot) -> bool:
    """Whether it is a projection of an attention's second or third input, which cannot be told from its output."""
    return isinstance(slot.module, nn.MultiheadAttention) and slot.local != PACKED


def _told(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} ({_kind_of(tensor)})"


def _kind_of(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} on {tensor.device}"


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
