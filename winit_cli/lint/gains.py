"""Gains that belong to another activation than the model's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from winit_cli.findings.numbers import counted
from winit_cli.lint.chain import Chain, Layer
from winit_cli.lint.expectation import LEAST
from winit_cli.lint.filled import Filled
from winit_cli.lint.prediction import is_centred, predict
from winit_cli.lint.sizes import std_too_large, std_too_small
from winit_cli.lint.subject import Found, Label
from winit_cli.probe import advice
from winit_cli.schemes import SCHEMES
from winit_cli.theory.maps import mean_power_of_slope, mean_square
from winit_cli.theory.meanfield import chi_1, q_star
from winit_cli.theory.scale_free import SLOPES

NEAR = 0.1  # a gain this near, in proportion, will do
NOTED = 1.5  # so many times more than with a fitting gain signal or gradient must change over all layers to be told
CHAOTIC = 10.0  # or so many times the gradient, where the signal settles and no gain fits it better
UNFIT = ("sigmoid", "softplus")  # no gain keeps the signal through them: they are not near 0 at 0
SELU_IN_TORCH = 0.75
Changes = tuple[float, float]  # of the signal's size from the first hidden layer to the last, of the gradient's back


def gain_mismatch(label: Label) -> Iterator[Found]:
    """Hidden layers behind an activation that takes another gain; silent where the rules for std speak.

    What is told is no fault by itself, so it is a note: what the probe would call ill is the matter of those rules.
    """
    chain = label.chain
    if chain is None or chain.activation in UNFIT or any((*std_too_small(label), *std_too_large(label))):
        return
    for weight in {layer.weight.rule: layer.weight for layer in chain.hidden[1:]}.values():
        gain = weight.moments.gain
        if gain and weight.is_drawn and not SCHEMES[weight.use.scheme].own_biases:
            yield from _found(label, chain, weight, gain)


def _takes(activation: str) -> list[float]:
    """The gains that keep a signal: a small one, ``E[f'(0±)^2]^(-1/2)``, where it stays small, and one of size 1,
    ``E[f(z)^2]^(-1/2)``; for selu that of the paper alone."""
    small, one = (1 / math.sqrt(kept) for kept in (mean_power_of_slope(activation, 0), mean_square(activation, 1)))
    stays = activation in SLOPES or (activation != "selu" and q_star(activation, small**2, 0) is not None)
    return [small, one] if stays else [one]


def _found(label: Label, chain: Chain, weight: Filled, gain: float) -> Iterator[Found]:
    takes, changes = _takes(chain.activation), _changes(label, chain, 1.0)
    fitting = min(takes, key=lambda fit: abs(math.log(fit / abs(gain))))
    fit = _changes(label, chain, fitting / abs(gain))
    q, chi = q_star(chain.activation, gain**2, 0), chi_1(chain.activation, gain**2, 0)
    if _is_near(gain, takes[0]):
        return
    if q and chi and chi > 1 and changes:
        reason = _settling(chain, q, chi, changes)
        worse = changes[1] / CHAOTIC
    else:
        reason = _changing(chain, fitting, changes, fit)
        worse = _apart(changes, fit) / NOTED if changes and fit else 0.0 if _is_near(gain, fitting) else math.inf
    if chain.layers[-1].weight.use == weight.use and gain > 1 + NEAR:
        reason += "; the head, which no activation follows, gets it too"
    if worse > 1:
        path = label.path(weight, "gain", "nonlinearity", "scheme")
        yield Found((label,), path, f"the gain is {gain:.3g}, {reason}", advice.cure(chain.activation), "note", worse)


def _is_near(gain: float, takes: float) -> bool:
    return abs(abs(gain) / takes - 1) <= NEAR


def _apart(changes: Changes, fit: Changes) -> float:
    """How many times more than with a fitting gain signal or gradient changes; 1 where it changes less."""
    worst, of_fit = (max(abs(math.log(change)) for change in each) for each in (changes, fit))
    apart = max(abs(math.log(one / other)) for one, other in zip(changes, fit, strict=True))
    return math.exp(apart) if worst > of_fit else 1.0


def _settling(chain: Chain, q: float, chi: float, changes: Changes) -> str:
    """What becomes of signal and gradient under one gain in all layers, where the signal settles and is chaotic."""
    keeps, hidden = _takes(chain.activation)[0], len(chain.hidden)
    return (
        f"with which {chain.activation} settles at size {math.sqrt(q):.2g} and gradients grow {math.sqrt(chi):.3g}x "
        f"per layer, {changes[1]:.0f}x over {hidden} hidden layers; {keeps:.3g} keeps them"
    )


def _changing(chain: Chain, fitting: float, changes: Changes | None, fit: Changes | None) -> str:
    """How much of signal and gradient is left, or too much, in proportion to what a fitting gain leaves."""
    reason = f"{chain.activation} takes {fitting:.3g}"
    if changes is None or fit is None:
        return reason
    signal, gradient = (one / other for one, other in zip(changes, fit, strict=True))
    hidden = counted(len(chain.hidden), "hidden layer")
    return f"{reason}: over {hidden} signal {signal:.2g}x, gradient {gradient:.2g}x of those with {fitting:.3g}"


def _changes(label: Label, chain: Chain, factor: float) -> Changes | None:
    """With weights so many times as large behind the activations; the middle of what theory expects."""
    if label.prediction is None or not is_centred(chain):
        return None
    layers = (_scaled(layer, factor) if i else layer for i, layer in enumerate(chain.layers))
    found = predict(replace(chain, layers=tuple(layers)), label.inputs.square, label.inputs.squares)
    last = len(chain.hidden) - 1
    forward, back = _middle(found.squares[last]) / _middle(found.squares[0]), found.gradients
    return math.sqrt(forward), math.sqrt(_middle(back[0]) / _middle(back[last]))


def _middle(bounds: tuple[float, float]) -> float:
    return max(LEAST, math.sqrt(bounds[0]) * math.sqrt(bounds[1]))


def _scaled(layer: Layer, factor: float) -> Layer:
    moments = layer.weight.moments
    assert moments.std is not None
    return replace(layer, weight=replace(layer.weight, moments=replace(moments, std=moments.std * factor)))


def selu_gain(label: Label) -> Iterator[Found]:
    """torch's gain of selu, which is not the one of the paper."""
    if label.activation != "selu":
        return
    hit = [filled for filled in label.weights if math.isclose(filled.moments.gain or 0, SELU_IN_TORCH)]
    settles = q_star("selu", SELU_IN_TORCH**2, 0)
    for filled in {filled.rule: filled for filled in hit}.values():
        assert settles is not None
        yield Found(
            (label,),
            label.path(filled, "gain", "nonlinearity", "scheme"),
            f"the gain is torch's for selu, 3/4: the signal settles at size {math.sqrt(settles):.2g}; only with "
            "gain 1 does selu keep mean 0 and variance 1 (Klambauer et al. 2017)",
            "gain: 1, or scheme: lecun_normal",
        )
