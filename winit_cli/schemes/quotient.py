"""How much a step along the gradient changes the gradient."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

EPSILON = 1e-5  # as in the paper
MOST_PARAMETERS = 20_000_000  # beyond, the second derivatives take more memory than people expect


def gradient_quotient(loss: Callable[[], Tensor], parameters: Sequence[Tensor]) -> float:
    """``GQ = mean_i |(g - H g)_i / (g_i + e_i) - 1|`` over all parameters, g the gradient, H the Hessian of the loss,
    ``e_i = 1e-5 sign(g_i)`` (MetaInit, Dauphin & Schoenholz 2019, NeurIPS 32): 0 where the gradient stays as it is.

    NaN where the loss has no second derivatives in torch, or over 20 million parameters.
    """
    if not parameters or sum(p.numel() for p in parameters) > MOST_PARAMETERS:
        return float("nan")
    try:
        gradients = torch.autograd.grad(loss(), parameters, create_graph=True, materialize_grads=True)
        half = half_square(gradients)
        products = torch.autograd.grad(half, parameters, materialize_grads=True) if half.requires_grad else None
    except RuntimeError:  # an operation without a second derivative
        return float("nan")
    products = products or tuple(torch.zeros_like(p) for p in parameters)
    return float(quotient([g.detach().double() for g in gradients], [product.double() for product in products]))


def half_square(gradients: Sequence[Tensor]) -> Tensor:
    """``|g|^2 / 2``, whose derivative is H g."""
    return torch.stack([g.square().sum() for g in gradients]).sum() / 2


def quotient(gradients: Sequence[Tensor], products: Sequence[Tensor]) -> Tensor:
    """``mean_i |(g - H g)_i / (g_i + e_i) - 1|`` of all entries."""
    total = torch.zeros((), dtype=gradients[0].dtype, device=gradients[0].device)
    for g, product in zip(gradients, products, strict=True):
        shifted = g + torch.where(g >= 0, EPSILON, -EPSILON)
        total = total + ((g - product) / shifted - 1).abs().sum()
    return total / sum(g.numel() for g in gradients)


@contextlib.contextmanager
def twice_differentiable(module: nn.Module) -> Iterator[None]:
    """Attention and recurrent layers without the fused kernels, which have no second derivative."""
    with sdpa_kernel(SDPBackend.MATH), _unfused_recurrence(module):
        yield


@contextlib.contextmanager
def _unfused_recurrence(module: nn.Module) -> Iterator[None]:
    if not any(isinstance(inner, nn.RNNBase) for inner in module.modules()):
        yield
        return
    on_cuda = any(parameter.is_cuda for parameter in module.parameters())
    fused: Any = torch.backends.cudnn if on_cuda else torch.backends.mkldnn
    before, fused.enabled = fused.enabled, False
    try:
        yield
    finally:
        fused.enabled = before
