"""Singular values of the Jacobian of the output with respect to the input, one example at a time.

E examples, D input size, K output size, M = min(D, K).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from winit_cli.claims.metrics import JACOBIAN_OUTPUTS
from winit_cli.rng import generator

EXACT_OUTPUTS = JACOBIAN_OUTPUTS
EXACT_NUMBERS = 2**25  # and up to this many numbers
PROBES, POWER_STEPS = 32, 30  # random vectors of the estimates, and steps towards the largest singular value
ZERO = 1e-6  # of the largest singular value; the roundings of single precision leave up to a tenth of it


class Spectrum(NamedTuple):
    """Moments of the squared singular values of one Jacobian, and the ratio of its largest to its smallest singular
    value, averaged over examples; ``values`` are the singular values themselves (E, M), where they were computed."""

    mean: float
    var: float
    max: float
    condition: float
    values: Tensor | None = None


def spectrum(function: Callable[[Tensor], Tensor], x: Tensor) -> Spectrum:
    """Mean, variance and largest of the M squared singular values of ``J = d f(x) / d x`` (K, D), each for one example
    and then averaged over the E of x (Pennington et al. 2017, arXiv:1711.04735; Saxe et al. 2014, arXiv:1312.6120).
    The condition is infinite where the smallest is below 1e-6 of the largest; examples with zeros alone have none.

    Exact up to 512 outputs, from the eigenvalues of ``J J^T`` in double precision. Beyond, from products with random
    signs v (Hutchinson 1990): ``tr A = E[v^T A v]``, ``tr A^2 = E[|A v|^2]`` with ``A = J J^T``, and power iteration;
    these do not see the smallest singular value: the condition is NaN.
    """
    with torch.no_grad():
        outputs = function(x[:1]).numel()
    inputs = x[0].numel()
    if outputs <= EXACT_OUTPUTS and outputs * inputs <= EXACT_NUMBERS:
        return _exact(function, x, outputs)
    return _estimated(function, x, min(inputs, outputs))


def _exact(function: Callable[[Tensor], Tensor], x: Tensor, outputs: int) -> Spectrum:
    squares = []
    for some in torch.split(x, max(1, EXACT_OUTPUTS // outputs)):
        copies = some.repeat_interleave(outputs, 0).requires_grad_()
        out = function(copies).flatten(1)
        which = torch.arange(outputs, device=x.device).repeat(len(some))
        (rows,) = torch.autograd.grad(out.gather(1, which[:, None]).sum(), copies)
        jacobians = rows.double().reshape(len(some), outputs, -1)
        if outputs > jacobians.shape[2]:
            jacobians = jacobians.transpose(1, 2)
        squares.append(_eigenvalues(jacobians @ jacobians.transpose(1, 2)))
    values = torch.cat(squares)
    largest = values.amax(1)
    condition = _conditions(largest, values.amin(1)).nanmean().item()
    moments = values.mean().item(), values.var(1, correction=0).mean().item(), largest.mean().item()
    return Spectrum(*moments, condition, values.sqrt())


def _conditions(largest: Tensor, smallest: Tensor) -> Tensor:
    """Of squared singular values; 0 / 0 is NaN."""
    return (largest / torch.where(smallest < ZERO**2 * largest, 0, smallest)).sqrt()


def _eigenvalues(grams: Tensor) -> Tensor:
    """In ascending order; NaN where a matrix is not finite."""
    if not grams.isfinite().all():
        return grams.new_full(grams.shape[:2], float("nan"))
    values: Tensor = torch.linalg.eigvalsh(grams)
    return values.clamp(min=0)


def _estimated(function: Callable[[Tensor], Tensor], x: Tensor, size: int) -> Spectrum:
    x = x.clone().requires_grad_()
    out = function(x).flatten(1)
    source = generator("probe", "jacobian")
    trace = trace_of_square = torch.zeros(len(x), dtype=torch.float64, device=x.device)
    v = out
    for _ in range(PROBES):
        v = (torch.randint(2, out.shape, generator=source) * 2 - 1).to(out)
        back, there = _products(out, x, v)
        trace = trace + back.double().flatten(1).square().sum(1) / PROBES
        trace_of_square = trace_of_square + there.double().square().sum(1) / PROBES
    largest = torch.zeros_like(trace)
    for _ in range(POWER_STEPS):
        v = torch.nn.functional.normalize(v, dim=1)
        _, v = _products(out, x, v)
        largest = torch.linalg.vector_norm(v.double(), dim=1)
    mean = trace / size
    return Spectrum(
        mean.mean().item(), (trace_of_square / size - mean**2).mean().item(), largest.mean().item(), math.nan
    )


def _products(out: Tensor, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """``J^T v`` and ``J J^T v``; the second is the derivative of ``u -> J^T u`` in a direction, transposed."""
    u = torch.zeros_like(out, requires_grad=True)
    (back,) = torch.autograd.grad(out, x, v, retain_graph=True)
    (linear,) = torch.autograd.grad(out, x, u, create_graph=True)
    (there,) = torch.autograd.grad(linear, u, back)
    return back, there.detach()
