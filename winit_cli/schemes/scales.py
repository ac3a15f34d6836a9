"""Learn how large each parameter tensor should be, by derivatives through the whole model. n tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from winit_cli.errors import UnfitError, UsageError
from winit_cli.schemes.fitting import Fitting
from winit_cli.schemes.recipe import Use
from winit_cli.schemes.slots import Slot

LEAST = 0.01  # of what a tensor starts with


def start(slot: Slot) -> Use:
    """Kaiming's weights and no biases; norms and multipliers as they are built."""
    if slot.kind == "bias":
        return Use("zeros")
    return Use("pytorch_default") if slot.kind in ("norm", "scale") else Use("kaiming_normal")


class Scales:
    """A factor on each of the n parameter tensors that a scheme fills; all others that are trained stay as they are."""

    def __init__(self, net: Fitting) -> None:
        behind = [slot.name for slot in net.slots if slot.originals]
        if behind:
            raise UsageError(
                f"{net.scheme} learns no scale for what has a parametrization, as {', '.join(behind)} has; give it "
                "another scheme by a rule"
            )
        self._net = net
        self._slots = [slot for slot in net.slots if slot.parameter.any()]  # a scale of zeros is none
        self._trained = {name: p.detach() for name, p in net.module.named_parameters() if p.requires_grad}
        self.factors = torch.ones(len(self._slots), device=self._slots[0].parameter.device, requires_grad=True)

    @property
    def norms(self) -> Tensor:
        """Of the tensors as they are, (n,)."""
        return torch.stack([slot.parameter.detach().float().norm() for slot in self._slots])

    def values(self) -> dict[str, Tensor]:
        """All parameters that are trained, by name, those of the scheme scaled."""
        with torch.enable_grad():
            own = {slot.name: factor for slot, factor in zip(self._slots, self.factors, strict=True)}
            return {
                name: p * own[name].to(p) if name in own else p.requires_grad_() for name, p in self._trained.items()
            }

    def slope(self, value: Tensor) -> Tensor:
        """The derivatives of a number with respect to the factors, (n,).

        Raises:
            UsageError: one of them is no finite number.
        """
        (found,) = self._net.gradients(value, [self.factors])
        if not found.isfinite().all():
            raise UnfitError(
                f"{self._net.scheme} has no slope to follow: the loss or its derivatives are no finite numbers; "
                "lower its lr, or use another scheme"
            )
        return found

    def descend(self, optimizer: torch.optim.Optimizer, slope: Tensor) -> None:
        """One step, of a slope cut to [-1, 1]."""
        self.factors.grad = slope.clamp(-1, 1)
        optimizer.step()
        self.factors.detach().clamp_(min=LEAST)

    def write(self, factors: Tensor) -> None:
        """Scale the parameters themselves."""
        for slot, factor in zip(self._slots, factors.detach(), strict=True):
            slot.parameter.mul_(factor.to(slot.parameter))
