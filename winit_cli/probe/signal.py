"""How large the signal is, layer by layer. Arrays z (B, P, U): B examples, P positions, U units, double precision.

z is the pre-activation: the output of a layer, behind the norm layer where one follows, before the activation f.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

SATURATED_SLOPE = 1 - 0.97**2  # of the steepest: |tanh| > 0.97, where the gradient has lost more than nine tenths
BOUNDED = ("tanh", "sigmoid", "softsign", "hardtanh")  # what is flat at both ends
RECTIFIED = ("relu", "relu6")  # what is flat below 0


def pre_mean(z: Tensor) -> float:
    """``E[z]`` over examples, positions and units (Glorot & Bengio 2010, AISTATS)."""
    return z.mean().item()


def pre_mean_square(z: Tensor) -> float:
    """``q = E[z^2]`` over examples, positions and units, the q^l of Poole et al. 2016 (arXiv:1606.05340)."""
    return float(torch.linalg.vector_norm(z)) ** 2 / z.numel()


def pre_variance(z: Tensor) -> float:
    """``Var[z]`` over examples, positions and units, which LSUV sets to 1 (Mishkin & Matas 2016, arXiv:1511.06422)."""
    return z.var(correction=0).item()


def act_mean_square(a: Tensor) -> float:
    """``E[f(z)^2]`` over examples, positions and units, what He et al. 2015 (arXiv:1502.01852) call E[x^2]."""
    return float(torch.linalg.vector_norm(a)) ** 2 / a.numel()


def act_variance(a: Tensor) -> float:
    """``Var[f(z)]`` over examples, positions and units (Glorot & Bengio 2010, AISTATS): without the part of the mean
    square that every example shares, as relu's mean is."""
    return a.var(correction=0).item()


def layer_gain(square: float, before: float) -> float:
    """``q_l / q_(l-1)``, the factor on the mean square of pre-activations; ``q_0`` is the mean square of the input.

    1 is what He et al. 2015 ask for; relu with variance 1/fan_in gives 1/2.
    """
    return square / before if before else float("nan")


def dead_fraction(z: Tensor) -> float:
    """Share of units with ``z <= 0`` for every example and position: relu gives 0 and passes no gradient (Lu et al.
    2019, arXiv:1903.06733)."""
    return (z.amax((0, 1)) <= 0).double().mean().item()


def saturated_fraction(z: Tensor, activation: Callable[[Tensor], Tensor]) -> float:
    """Share of pre-activations with ``|f'(z)| < 0.059 |f'(0)|``: ``|tanh| > 0.97`` (Glorot & Bengio 2010, AISTATS)."""
    steepest = _slopes(z.new_zeros(1), activation).abs()
    return (_slopes(z, activation).abs() < SATURATED_SLOPE * steepest).double().mean().item()


def _slopes(z: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    with torch.enable_grad():
        at = z.detach().requires_grad_()
        (slopes,) = torch.autograd.grad(activation(at).sum(), at)
    return slopes


def saturated_states(a: Tensor) -> float:
    """The same of the states of a tanh network, from ``f'(z) = 1 - a^2``."""
    return (1 - a.square() < SATURATED_SLOPE).double().mean().item()


def correlation(z: Tensor) -> float:
    """``c``: mean over pairs of different examples of the cosine between their z (Poole et al. 2016, arXiv:1606.05340).

    Examples whose z is 0 have no angle and are left out; NaN where fewer than two remain.
    """
    flat = (z if z.is_contiguous() else z.transpose(1, 2)).flatten(1)  # the order within an example plays no part
    norms = torch.linalg.vector_norm(flat, dim=1)
    if not (norms > 0).all():
        flat, norms = flat[norms > 0], norms[norms > 0]
    count = len(flat)
    if count < 2:
        return float("nan")
    total = norms.reciprocal() @ flat
    mean: float = ((total.square().sum() - count) / (count * (count - 1))).item()
    return mean
