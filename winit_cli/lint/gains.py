"""Gains that belong to another activation than the model's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from winit_cli.lint.chain import Chain, Layer
from winit_cli.lint.expectation import LEAST
from winit_cli.lint.filled import Filled
from winit_cli.lint.prediction import is_centred, predict
from winit_cli.lint.sizes import std_too_large, std_too_small
from winit_cli.lint.subject import Found, Label, Severity
from winit_cli.probe import advice
from winit_cli.schemes import SCHEMES
from winit_cli.theory.maps import mean_power_of_slope, mean_square
from winit_cli.theory.meanfield import chi_1, q_star

NEAR = 0.1  # a gain this near, in proportion, will do
NOTABLE = 10.0  # a change over all layers beyond which a mismatch is no longer a matter of taste
UNFIT = ("sigmoid", "softplus")  # no gain keeps the signal through them: they are not near 0 at 0
SELU_IN_TORCH = 0.75


def gain_mismatch(label: Label) -> Iterator[Found]:
    """Hidden layers behind an activation whose gain another activation takes; silent where it is too small or large."""
    chain = label.chain
    if chain is None or chain.activation in UNFIT or any((*std_too_small(label), *std_too_large(label))):
        return
    for weight in {layer.weight.rule: layer.weight for layer in chain.hidden[1:]}.values():
        gain = weight.moments.gain
        if gain and weight.is_drawn and not SCHEMES[weight.use.scheme].own_biases and not _fits(gain, chain.activation):
            yield _found(label, chain, weight, gain)


def _takes(activation: str) -> list[float]:
    """The gains that keep a small signal, and one of size 1: ``E[f'(0±)^2]^(-1/2)`` and ``E[f(z)^2]^(-1/2)``."""
    kept = mean_power_of_slope(activation, 0), mean_square(activation, 1)
    return sorted({round(1 / math.sqrt(number), 4) for number in kept})


def _fits(gain: float, activation: str) -> bool:
    return any(abs(gain / takes - 1) <= NEAR for takes in _takes(activation))


def _found(label: Label, chain: Chain, weight: Filled, gain: float) -> Found:
    fitting = min(_takes(chain.activation), key=lambda takes: abs(math.log(takes / gain)))
    fitting = 1.0 if chain.activation == "selu" else fitting  # as the paper has it
    changes = _changes(label, chain, fitting / gain)
    reason = _settling(chain.activation, gain) or _changing(chain.activation, fitting, changes)
    reason = f"the gain is {gain:.3g}, {reason}"
    extent = max(abs(math.log(change or LEAST)) for change in changes or [1.0])
    if chain.layers[-1].weight.use == weight.use and gain > 1 + NEAR:
        reason += "; the head, which no activation follows, gets it too"
    severity: Severity = "warning" if extent > math.log(NOTABLE) else "note"
    path = label.path(weight, "gain", "nonlinearity", "scheme")
    return Found((label,), path, reason, advice.cure(chain.activation), severity, extent)


def _settling(activation: str, gain: float) -> str:
    """What becomes of the signal under one gain in all layers, where its size settles above 0."""
    q, chi = q_star(activation, gain**2, 0), chi_1(activation, gain**2, 0)
    if not q or not chi:
        return ""
    grows = "grow" if chi > 1 else "shrink"
    kept = f"with which {activation} settles at size {math.sqrt(q):.2g} and gradients {grows}"
    return f"{kept} {math.sqrt(chi):.3g}x per layer; {_takes(activation)[0]:.3g} keeps them"


def _changing(activation: str, fitting: float, changes: tuple[float, float] | None) -> str:
    """How much of signal and gradient is left, or too much."""
    reason = f"{activation} takes {fitting:.3g}"
    if changes is None:
        return reason
    return f"{reason}: signal {changes[0]:.2g}x, gradient {changes[1]:.2g}x of those with {fitting:.3g}"


def _changes(label: Label, chain: Chain, factor: float) -> tuple[float, float] | None:
    """Signal of the last hidden layer and gradient of the first, in proportion to those with weights so many times as
    large behind the activations."""
    if label.prediction is None or not is_centred(chain):
        return None
    fitting = replace(
        chain, layers=tuple(_scaled(layer, factor) if i else layer for i, layer in enumerate(chain.layers))
    )
    (signal, gradient), (fit_signal, fit_gradient) = (_ends(label, one) for one in (chain, fitting))
    return math.sqrt(signal / fit_signal), math.sqrt(gradient / fit_gradient)


def _scaled(layer: Layer, factor: float) -> Layer:
    moments = layer.weight.moments
    assert moments.std is not None
    return replace(layer, weight=replace(layer.weight, moments=replace(moments, std=moments.std * factor)))


def _ends(label: Label, chain: Chain) -> tuple[float, float]:
    """Upper bounds of the mean square of the last hidden layer, and of the first layer's squared gradient."""
    found = predict(chain, label.inputs.square, label.inputs.squares)
    return found.squares[len(chain.hidden) - 1][1], found.gradients[0][1]


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
