"""GradInit: scales such that the first step of an optimizer lowers the loss most. B examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import torch
from pydantic import BeforeValidator
from torch import Tensor

from winit_cli.schemes.fitting import Fitting
from winit_cli.schemes.quotient import twice_differentiable
from winit_cli.schemes.recipe import Use
from winit_cli.schemes.row import Scheme
from winit_cli.schemes.scales import Scales, start
from winit_cli.schemes.slots import Slot
from winit_cli.tables import LARGEST_NUMBER, PositiveInt, PositiveNumber

Optimizer = Literal["sgd", "adam"]
STEPS: dict[Optimizer, float] = {"sgd": 0.1, "adam": 0.001}  # as in the authors' scripts
DROP = 0.1  # of the loss to first order, a step times the norm of the gradient, where that is at its bound


def _number_or_auto(value: object) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value != "auto" and not (is_number and 0 < value <= LARGEST_NUMBER):  # type: ignore[operator]
        raise ValueError(f"expected a number above 0 or auto, got {value!r}")
    return value


NumberOrAuto = Annotated[float | str, BeforeValidator(_number_or_auto)]


def gradinit(
    slot: Slot,
    *,
    optimizer: Optimizer = "sgd",
    step: NumberOrAuto = "auto",
    bound: NumberOrAuto = "auto",
    lr: PositiveNumber = 0.01,
    iterations: PositiveInt = 100,
    examples: PositiveInt = 128,
) -> Use:
    """Kaiming's weights and no biases, to begin with; norms as they are built."""
    return start(slot)


def fit_gradinit(
    net: Fitting,
    *,
    optimizer: Optimizer,
    step: NumberOrAuto,
    bound: NumberOrAuto,
    lr: float,
    iterations: int,
    examples: int,
) -> None:
    """Lower the loss after a step where the gradient is within its bound, and else the gradient."""
    eta = STEPS[optimizer] if step == "auto" else float(step)
    gamma = DROP / eta if bound == "auto" else float(bound)
    scales = Scales(net)
    lower, within = (torch.optim.Adam([scales.factors], lr=lr) for _ in range(2))
    allowed = None
    for _ in range(iterations):
        x, y = net.batch_with_targets(examples)
        values = scales.values()
        with torch.enable_grad(), twice_differentiable(net.module):
            gradients = net.gradients(net.loss(x, y, values), list(values.values()), differentiable=True)
            norm = size_of(gradients, optimizer)
        if float(norm) <= gamma:
            allowed = scales.factors.detach().clone()
            moved = stepped(values, gradients, optimizer, eta)
            fresh = net.batch_with_targets(max(1, examples // 2))
            half = [torch.cat([old[: len(old) // 2], new]) for old, new in zip((x, y), fresh, strict=True)]
            with torch.enable_grad():
                value = net.loss(half[0], half[1], moved) / eta
            scales.descend(lower, scales.slope(value))
        else:
            scales.descend(within, scales.slope(norm))
    scales.write(scales.factors if allowed is None else allowed)


def size_of(gradients: Sequence[Tensor], optimizer: Optimizer) -> Tensor:
    """The norm of the gradient that goes with an optimizer's step: L2 for sgd, L1 for adam."""
    if optimizer == "adam":
        return torch.stack([g.abs().sum() for g in gradients]).sum()
    return torch.stack([g.square().sum() for g in gradients]).sum().sqrt()


def stepped(
    values: Mapping[str, Tensor], gradients: Sequence[Tensor], optimizer: Optimizer, step: float
) -> dict[str, Tensor]:
    """Parameters after the first step of an optimizer, whose direction counts as constant: along the gradient divided
    by its norm, or along the signs of its entries."""
    norm = size_of(gradients, "sgd").detach()
    directions = [g.detach().sign() if optimizer == "adam" else g.detach() / norm for g in gradients]
    with torch.enable_grad():
        return {name: p - step * d for (name, p), d in zip(values.items(), directions, strict=True)}


SCHEMES = (
    Scheme(
        name="gradinit",
        family="learned",
        summary="one learned scale for each parameter tensor, so that the first step of training lowers the loss most",
        formula="W ← m W, with m per tensor (W kaiming_normal to begin with) that minimizes L(θ - η A[g]), g = ∂L/∂θ, "
        "as long as ‖g‖ ≤ γ; sgd: A[g] = g / ‖g‖₂, ‖g‖₂; adam: A[g] = sign(g), ‖g‖₁",
        keeps="the norm of the gradient at γ or below",
        paper="Zhu, Ni, Xu, Kong, Huang & Goldstein 2021, GradInit (arXiv:2102.08098)",
        torch_call="w.mul_(m), with a number m for each tensor that Adam learns",
        choose=gradinit,
        fit=fit_gradinit,
        dims=(2, 99),
        own_biases=True,
        also=("norm", "scale"),
        pitfalls=(
            "Costs four passes for each iteration, backward and double backward ones among them: init_seconds and "
            "init_passes in timings.csv.",
            "Meant for the optimizer that trains: optimizer (η) step, and (γ) bound. auto is 0.1 for sgd and 0.001 for "
            "adam, as in the authors' scripts, and the bound 0.1 / step: 1 for sgd, as there.",
            "As in the authors' code A[g] counts as constant, half of the batch is in both losses, scales are learned "
            "by Adam from slopes cut to [-1, 1], apart for loss and norm, and stay above 0.01. Unlike there the scales "
            "of the last iteration within the bound are taken; if none was, the last.",
            "What is 0 (biases) has no scale. Weights of norms have one.",
            "The bound holds for batches of that size: gradients of smaller ones are larger.",
        ),
    ),
)
