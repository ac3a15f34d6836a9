"""MetaInit: norms of weights such that a step along the gradient changes the gradient least."""

from __future__ import annotations

import torch
from torch import Tensor

from winit_cli.schemes.fitting import Fitting
from winit_cli.schemes.quotient import half_square, quotient, twice_differentiable
from winit_cli.schemes.recipe import Use
from winit_cli.schemes.row import Scheme
from winit_cli.schemes.scales import LEAST, Scales, start
from winit_cli.schemes.slots import Slot
from winit_cli.tables import NonNegativeNumber, PositiveInt, PositiveNumber


def metainit(
    slot: Slot,
    *,
    lr: PositiveNumber = 0.1,
    momentum: NonNegativeNumber = 0.9,
    iterations: PositiveInt = 100,
    examples: PositiveInt = 64,
) -> Use:
    """Kaiming's weights and no biases, to begin with."""
    return start(slot)


def fit_metainit(net: Fitting, *, lr: float, momentum: float, iterations: int, examples: int) -> None:
    """Signed steps on the norms of weights, along the slope of the gradient quotient."""
    scales = Scales(net)
    norms = scales.norms
    sizes, velocity = norms.clone(), torch.zeros_like(norms)
    for _ in range(iterations):
        x, y = noise_like(net, examples)
        values = scales.values()
        with torch.enable_grad(), twice_differentiable(net.module):
            parameters = list(values.values())
            gradients = net.gradients(net.loss(x, y, values), parameters, differentiable=True)
            products = net.gradients(half_square(gradients), parameters, differentiable=True)
            slope = scales.slope(quotient(gradients, products))
        velocity = momentum * velocity - lr * slope.sign()
        sizes = torch.maximum(sizes + velocity, LEAST * norms)
        scales.factors.detach().copy_(sizes / norms)
    scales.write(scales.factors)


def noise_like(net: Fitting, count: int) -> tuple[Tensor, Tensor]:
    """Random inputs and targets of the training data's shapes: N(0, 1), and all tokens or classes alike."""
    x, y = net.batch_with_targets(count)

    def drawn(like: Tensor, whole: Tensor) -> Tensor:
        if like.is_floating_point():
            return torch.randn(like.shape, generator=net.generator).to(like)
        return torch.randint(int(whole.max()) + 1, like.shape, generator=net.generator).to(like)

    assert net.examples.y is not None
    return drawn(x, net.examples.x), drawn(y, net.examples.y)


SCHEMES = (
    Scheme(
        name="metainit",
        family="learned",
        summary="the norms of the weights, learned so that a step along the gradient changes the gradient least",
        formula="‖W‖ ← ‖W‖ + v, v ← μ v - lr sign(∂GQ/∂‖W‖), GQ = mean |(g - H g) / (g + ε) - 1|, on inputs N(0, 1) "
        "and random targets; W kaiming_normal to begin with",
        keeps="the direction of every weight; it makes the loss look linear along a step of gradient descent",
        paper="Dauphin & Schoenholz 2019, MetaInit (NeurIPS 32)",
        torch_call="w.mul_(m), with a number m for each weight, learned on random inputs of the data's shape",
        choose=metainit,
        fit=fit_metainit,
        dims=(2, 99),
        pitfalls=(
            "Costs four passes for each iteration, one through second derivatives: init_seconds and init_passes in "
            "timings.csv.",
            "Sees no training data: only the shapes of inputs and targets, and how many classes there are. Inputs far "
            "from N(0, 1) are not what it is made for.",
            "Norms move by lr at first and by up to lr / (1 - momentum) later, whatever their size: small weights want "
            "a smaller lr. Unlike in the paper's code none falls below 0.01 of what it was.",
            "The paper's code takes 500 iterations; 100 do for small nets.",
            "Biases stay 0 and norms as they are, though the quotient is over all parameters that are trained.",
        ),
    ),
)
