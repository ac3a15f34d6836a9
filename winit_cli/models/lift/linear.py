"""Linear layers of many trials. S trials, G inputs that they share, B batch, D inputs, O outputs."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from winit_cli.models.lift.twin import Twin


class Written(NamedTuple):
    """Views of a layer's parameters outside autograd, and where their gradients go; no bias is ``None``."""

    weight: Tensor  # (S, O, D)
    transposed: Tensor  # (S, D, O)
    bias: Tensor | None  # (S, 1, O)
    weight_grad: Tensor  # (S, O, D)
    bias_grad: Tensor | None  # (S, O)


class StackedLinear(Twin):
    """(S, B, …, D) → (S, B, …, O) in one batched product, or one for each input that trials share.

    After ``overwrite`` the gradients of weight and bias are written into their ``.grad``, over what stands there: the
    pass that adds and the memory in between cost as much as a small product.
    """

    weight: Tensor
    written: Written | None = None

    def forward(self, x: Tensor) -> Tensor:
        shape = x.shape
        x = x.flatten(1, -2)
        bias = self._parameters.get("bias")
        if self.written is not None:
            out = cast(Tensor, _Product.apply(x, self.weight, self))  # type: ignore[no-untyped-call]
        elif bias is None:
            out = torch.bmm(self.spread(x), self.weight.mT)
        else:
            out = torch.baddbmm(bias.unsqueeze(1), self.spread(x), self.weight.mT)
        return out.reshape(len(out), *shape[1:-1], out.shape[-1])

    def overwrite(self) -> None:
        """Write gradients into the ``.grad`` that the parameters have; both must stay where they are in memory."""
        weight, bias = self.weight.detach(), self._parameters.get("bias")
        row = None if bias is None else bias.detach().unsqueeze(1)
        self.written = Written(
            weight, weight.mT, row, cast(Tensor, self.weight.grad), None if bias is None else bias.grad
        )

    def product(self, x: Tensor, to: Written) -> Tensor:
        """x Wᵀ + b without a record for autograd: (S, B, O)."""
        if len(x) == self.trials:
            out = torch.bmm(x, to.transposed)
        else:
            out = x.new_empty(self.trials, x.shape[1], to.weight.shape[1])
            for rows, part in self._parts(x):
                torch.bmm(rows, to.transposed[part], out=out[part])
        return out if to.bias is None else out.add_(to.bias)

    def write_gradients(self, x: Tensor, grad: Tensor, to: Written) -> None:
        """The gradients of weight and bias, from the input and the gradient of the output."""
        if len(x) == self.trials:
            torch.bmm(grad.mT, x, out=to.weight_grad)
        else:
            for rows, part in self._parts(x):
                torch.bmm(grad[part].mT, rows, out=to.weight_grad[part])
        if to.bias_grad is not None:
            torch.sum(grad, 1, out=to.bias_grad)

    def _parts(self, x: Tensor) -> list[tuple[Tensor, slice]]:
        """Inputs (n, B, D), none of them copied, with the trials that share them."""
        runs = zip(x, self.runs_of(x), strict=True)
        return [(row.expand(end - start, *row.shape), slice(start, end)) for row, (start, end) in runs]


class _Product(torch.autograd.Function):
    """x Wᵀ + b, whose backward pass leaves the gradients of W and b where they belong."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, layer: StackedLinear) -> Tensor:
        assert layer.written is not None
        ctx.save_for_backward(x)
        ctx.layer = layer
        return layer.product(x, layer.written)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None]:
        (x,), (grad,), layer = ctx.saved_tensors, grads, ctx.layer
        layer.write_gradients(x, grad, layer.written)
        return (torch.bmm(grad, layer.written.weight) if ctx.needs_input_grad[0] else None), None, None
