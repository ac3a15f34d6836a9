"""Linear layers of many trials. S trials, G inputs that they share, B batch, D inputs, O outputs."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from winit_cli.models.lift.twin import Twin


class StackedLinear(Twin):
    """(S, B, …, D) → (S, B, …, O) in one batched product, or one for each input that trials share.

    With ``overwrites`` the gradients of weight and bias are written into their ``.grad``, over what stands there: the
    pass that adds and the memory in between cost as much as a small product.
    """

    overwrites = False
    weight: Tensor

    def forward(self, x: Tensor) -> Tensor:
        shape = x.shape
        x = x.flatten(1, -2)
        if self.overwrites:
            out = cast(Tensor, _Product.apply(x, self.weight, self))  # type: ignore[no-untyped-call]
        elif self.bias_or_none is None:
            out = torch.bmm(self.spread(x), self.weight.mT)
        else:
            out = torch.baddbmm(self.bias_or_none.unsqueeze(1), self.spread(x), self.weight.mT)
        return out.reshape(len(out), *shape[1:-1], out.shape[-1])

    @property
    def bias_or_none(self) -> Tensor | None:
        """The bias (S, O), if there is one."""
        return self._parameters.get("bias")

    def parts(self, x: Tensor) -> list[tuple[Tensor, slice]]:
        """Inputs (n, B, D), none of them copied, with the trials that read them."""
        if len(x) == self.trials:
            return [(x, slice(None))]
        runs = zip(x, self.runs_of(x), strict=True)
        return [(row.expand(end - start, *row.shape), slice(start, end)) for row, (start, end) in runs]

    def write_gradients(self, x: Tensor, grad: Tensor) -> None:
        """The gradients of weight and bias into their ``.grad``, from the input and the gradient of the output."""
        written = cast(Tensor, self.weight.grad)
        for rows, part in self.parts(x):
            torch.bmm(grad[part].mT, rows, out=written[part])
        if self.bias_or_none is not None:
            torch.sum(grad, 1, out=self.bias_or_none.grad)


def product(x: Tensor, layer: StackedLinear) -> Tensor:
    """x Wᵀ + b without a record for autograd: (S, B, O)."""
    weight, bias = layer.weight.detach(), layer.bias_or_none
    parts = layer.parts(x)
    if len(parts) == 1:
        out = torch.bmm(parts[0][0], weight.mT)
    else:
        out = x.new_empty(len(weight), x.shape[1], weight.shape[1])
        for rows, part in parts:
            torch.bmm(rows, weight[part].mT, out=out[part])
    return out if bias is None else out.add_(bias.detach().unsqueeze(1))


class _Product(torch.autograd.Function):
    """x Wᵀ + b, whose backward pass leaves the gradients of W and b in their ``.grad``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, layer: StackedLinear) -> Tensor:
        ctx.save_for_backward(x)
        ctx.layer = layer
        return product(x, layer)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None]:
        (x,), (grad,) = ctx.saved_tensors, grads
        ctx.layer.write_gradients(x, grad)
        return (torch.bmm(grad, ctx.layer.weight) if ctx.needs_input_grad[0] else None), None, None
