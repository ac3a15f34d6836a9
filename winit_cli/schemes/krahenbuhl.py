"""Data-dependent initialization: units of mean 0 and variance 1, then layers that change at the same rate.

Krähenbühl, Doersch, Donahue & Darrell 2016 (arXiv:1511.06856). Algorithm 2 as in the authors' code (magic_init): up to
ten corrections, biases scaled by what has become of their layer's inputs, and rates aimed at such that the outputs keep
unit size. Corrections are whole, which is exact for positively homogeneous nets, and smaller where they overshoot, down
to the paper's α = 1/4.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from winit_cli.errors import UnfitError, UsageError
from winit_cli.schemes.fitting import Fitting
from winit_cli.schemes.per_unit import bias_of, is_recurrence, normalize_units
from winit_cli.schemes.recipe import Use
from winit_cli.schemes.responses import plain
from winit_cli.schemes.row import Scheme
from winit_cli.schemes.slots import Slot
from winit_cli.tables import NonNegativeInt, Number, PositiveInt, PositiveNumber

DRAWS = 4  # of the random loss: with one, rates would be as uncertain as a sum of few squares
DAMPED = 0.25


def krahenbuhl(
    slot: Slot,
    *,
    beta: Number = 0.0,
    iterations: NonNegativeInt = 10,
    tolerance: PositiveNumber = 0.01,
    examples: PositiveInt = 256,
) -> Use:
    """Gaussian weights to begin with; recurrent weights, for which the paper has no rule, are orthogonal."""
    if slot.kind == "bias":
        return Use("zeros")
    return Use("orthogonal") if is_recurrence(slot) else Use("normal")


def fit_krahenbuhl(net: Fitting, *, beta: float, iterations: int, tolerance: float, examples: int) -> None:
    """Algorithm 1 layer by layer, then ``iterations`` of algorithm 2."""
    x = net.batch(examples)
    weights = [slot for slot in net.weights(x) if not is_recurrence(slot)]
    for slot in weights:
        normalize_units(net, slot, x, beta)
    layers = [slot for slot in weights if slot.kind != "recurrent"]
    if iterations and len(layers) > 1:
        _between(net, layers, x, iterations, tolerance)


def _between(net: Fitting, layers: Sequence[Slot], x: Tensor, iterations: int, tolerance: float) -> None:
    """Scale whole layers until the logarithms of all rates are within ``tolerance`` of what is aimed at."""
    sizes: dict[str, float] = {}
    with _before_first_call(layers, lambda slot, size: sizes.setdefault(slot.name, size)):
        out = plain(net.forward(x))
    noise = torch.randn(DRAWS, *out.shape, generator=net.generator).to(out)
    share, before = 1.0, math.inf
    for _ in range(iterations):
        rates, spread = relative_rates(net, layers, x, noise)
        aim = math.exp(fmean(map(math.log, rates)) + math.log(spread) / len(layers))
        worst = max(abs(math.log(rate / aim)) for rate in rates)
        if worst <= tolerance:
            return
        share, before = (share if worst < before / 2 else max(share / 2, DAMPED)), worst
        factors = {slot.name: (rate / aim) ** (share / 2) for slot, rate in zip(layers, rates, strict=True)}
        _scale(net, layers, factors, sizes, x)


def relative_rates(net: Fitting, layers: Sequence[Slot], x: Tensor, noise: Tensor) -> tuple[list[float], float]:
    """rms(∂ℓ/∂W) / rms(W) of every layer for ℓ = Σ noise · output, noise (draws, *output), and the mean standard
    deviation of the outputs.

    With noise of mean 0 the expected square of a batch's gradient is the sum of the squares of its examples'.

    Raises:
        UsageError: a weight gets no gradient, or none that is finite, or has a parametrization.
    """
    behind = [slot.name for slot in layers if slot.originals]
    if behind:
        raise UsageError(
            f"{net.scheme} does not equalize layers with parametrizations, as {', '.join(behind)} has; set iterations "
            "to 0, or give it another scheme by a rule"
        )
    parameters = [slot.parameter for slot in layers]
    squares = [0.0] * len(layers)
    with torch.enable_grad():
        out = plain(net.forward(x))
        for one in noise:
            gradients = net.gradients((one * out).sum(), parameters, again=True)
            squares = [sum_ + float(g.double().square().sum()) for sum_, g in zip(squares, gradients, strict=True)]
    sizes = [float(w.detach().double().square().sum()) for w in parameters]
    rates = [math.sqrt(g / w / len(noise)) for g, w in zip(squares, sizes, strict=True)]
    lost = [slot.name for slot, rate in zip(layers, rates, strict=True) if not 0 < rate < math.inf]
    if lost:
        raise UnfitError(
            f"{net.scheme} cannot equalize how fast layers change: {', '.join(lost)} gets no gradient that is a finite "
            "number; set iterations to 0, or give it another scheme by a rule"
        )
    return rates, float(out.detach().double().reshape(len(out), -1).std(0, correction=0).mean())


def _scale(
    net: Fitting, layers: Sequence[Slot], factors: Mapping[str, float], sizes: dict[str, float], x: Tensor
) -> None:
    """Scale every weight when its turn comes, and its bias by what has become of the inputs as well."""

    def scale(slot: Slot, size: float) -> None:
        slot.parameter.mul_(factors[slot.name])
        bias = bias_of(net, slot)
        if bias is not None and sizes[slot.name]:
            bias.parameter.mul_(factors[slot.name] * size / sizes[slot.name])
        sizes[slot.name] = size

    with _before_first_call(layers, scale):
        net.forward(x)


@contextlib.contextmanager
def _before_first_call(layers: Sequence[Slot], act: Callable[[Slot, float], object]) -> Iterator[None]:
    """``act(slot, mean |input|)`` before each layer is called for the first time."""
    todo = {slot.module: slot for slot in layers}

    def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        slot = todo.pop(module, None)
        if slot is not None:
            given = plain(args[0] if args else next(iter(kwargs.values())))
            act(slot, float(given.double().abs().mean()))

    handles = [module.register_forward_pre_hook(hook, with_kwargs=True) for module in todo]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


SCHEMES = (
    Scheme(
        name="krahenbuhl",
        family="data-driven",
        summary="units of mean 0 and variance 1 for training data, then layers scaled so that all change at one rate",
        formula="per unit W ~ N(0, 1), w ← w / σ(w x), b = β - μ / σ; then per layer, with C = rms(∂ℓ/∂W) / rms(W) "
        "for a random ℓ linear in the outputs: W ← W √(C / C̄), b scaled with its layer, C̄ the geometric mean",
        keeps="mean β and equal variance of all units of a layer, and the output's size; every layer changes by the "
        "same part of itself in a step of gradient descent",
        paper="Krähenbühl, Doersch, Donahue & Darrell 2016, Data-dependent initializations of convolutional neural "
        "networks (arXiv:1511.06856)",
        torch_call="t = layer(x); w.div_(t.std(0)[:, None]); b.copy_(beta - t.mean(0) / t.std(0)), from the first "
        "layer to the last; then whole layers are scaled",
        choose=krahenbuhl,
        fit=fit_krahenbuhl,
        dims=(2, 99),
        own_biases=True,
        pitfalls=(
            "The second part leaves the function alone only where activations are positively homogeneous (relu, "
            "leaky_relu, linear) and no branches are added. Elsewhere (tanh, sigmoid, residual nets) it is done as in "
            "the authors' code: the same corrections, at most `iterations`, the size of the outputs brought back each "
            "time; rates then need not meet within the tolerance, and the first layers of deep tanh nets may saturate. "
            "iterations: 0 leaves it out.",
            "Where layers differ in rate, it gives up unit variance: the units of a layer keep one variance in common.",
            "The paper damps all corrections (α = 1/4), the authors' code none; here they are whole, and halved down "
            "to 1/4 where the rates come no closer.",
            "Recurrent layers: the projected inputs of every gate get mean β and variance 1, the recurrent weights are "
            "orthogonal, and neither takes part in the second part.",
            "Costs one pass for each layer and six for each correction: init_seconds and init_passes in timings.csv.",
        ),
    ),
)
