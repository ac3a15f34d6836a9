"""What the measurements of one label say: healthy, or what is ill, where, by which number, and the cure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from winit_cli.criteria import BACKWARD_GROWN, DEAD, FADED, FORWARD_GROWN, ONE, SATURATED, VERDICTS, Verdict
from winit_cli.probe import advice
from winit_cli.probe.chain import Chain, chain_of, ratio
from winit_cli.probe.measured import Measured
from winit_cli.probe.over_time import fading_over_time, gates_saturated, growing_over_time, reserve

__all__ = ["VERDICTS", "Verdict", "judge"]


def judge(measured: Sequence[Measured]) -> Verdict:
    """The verdict on one label from its seeds."""
    chain = chain_of(measured)
    ills = _symmetric, _dead, _saturated, gates_saturated, growing_over_time, _exploding, _not_finite
    for ill in (*ills, _no_gradient, _vanishing, fading_over_time, _vanishing_gradient, _chaotic):
        found = ill(chain)
        if found is not None:
            return found
    return Verdict("healthy", "", "", None, _healthy(chain))


def _healthy(chain: Chain) -> str:
    """What was seen, and what must be added."""
    changes = [change for depth in chain.hidden if (change := chain.change(depth)) > 0]
    signal = max(changes, key=lambda change: abs(math.log(change)), default=math.nan)
    zero = _head_is_zero(chain)
    text = advice.healthy(signal, chain.start, math.nan if zero else chain.gradient(chain.first), chain.first)
    if math.isnan(chain.of(chain.last, "grad_norm")):
        return text + advice.NOTHING_TRAINS
    cut = [place.path for place in chain.places if place.is_cut_off]
    more = (advice.HEAD_IS_ZERO if zero else reserve(chain)) + (advice.cut_off(cut) if cut else "")
    return text + advice.NOT_THE_CAUSE + more


def _symmetric(chain: Chain) -> Verdict | None:
    """All units of a hidden layer are equal and are updated alike."""
    for depth in chain.hidden:
        place, unlike = chain.place(depth), chain.of(depth, "distinct_gradients")
        if (
            place.units > 1
            and chain.of(depth, "distinct_units") <= ONE
            and not unlike > ONE
            and not _waits(chain, depth)
        ):
            text = advice.symmetric(place.units, place.path)
            return Verdict("symmetric", place.path, "distinct_units", chain.of(depth, "distinct_units"), text)
    return None


def _waits(chain: Chain, depth: int) -> bool:
    """Whether a layer is a residual branch that begins at zero and, behind a head of zeros, has no gradient yet that
    could tell its units apart, as in Fixup (Zhang et al. 2019, arXiv:1901.09321)."""
    passed_by = chain.place(depth).is_in_branch or chain.change_around > 0
    return _head_is_zero(chain) and passed_by and chain.of(depth, "pre_mean_square") == 0


def _not_finite(chain: Chain) -> Verdict | None:
    for depth in chain.depths:
        square = chain.of(depth, "pre_mean_square")
        if not math.isfinite(square):
            text = advice.not_finite(depth, chain.activation)
            return Verdict("exploding", chain.place(depth).path, "pre_mean_square", square, text)
    return None


def _no_gradient(chain: Chain) -> Verdict | None:
    """The output is finite, the gradient of its loss is not, or is 0 to begin with."""
    norm = chain.of(chain.last, "grad_norm")
    if norm not in (0, math.inf):
        return None
    text = advice.NO_GRADIENT.format(gradient="not" if norm else "0")
    verdict = "exploding" if norm else "vanishing"
    return Verdict(verdict, chain.place(chain.last).path, "grad_norm", norm, text)


def _dead(chain: Chain) -> Verdict | None:
    """Most units of a layer are silent, and not because the signal was lost before."""
    for depth in chain.hidden:
        share = chain.of(depth, "dead_fraction")
        if share >= DEAD and chain.change(depth) >= FADED:
            place = chain.place(depth)
            text = advice.dead(share, place.path, place.activation or chain.activation or "relu")
            return Verdict("dead", place.path, "dead_fraction", share, text)
    return None


def _saturated(chain: Chain) -> Verdict | None:
    for depth in chain.hidden:
        share = chain.of(depth, "saturated_fraction")
        if share >= SATURATED:
            place = chain.place(depth)
            text = advice.saturated(share, place.path, place.activation, chain.size(depth))
            return Verdict("saturated", place.path, "saturated_fraction", share, text)
    return None


def _exploding(chain: Chain) -> Verdict | None:
    changes = {depth: chain.change(depth) for depth in chain.depths}
    finite = [depth for depth, change in changes.items() if math.isfinite(change)]
    largest = max(finite, key=lambda depth: changes[depth], default=1)
    return _forward(chain, "exploding", largest) if finite and changes[largest] > FORWARD_GROWN else None


def _vanishing(chain: Chain) -> Verdict | None:
    last = chain.head - 1
    if last <= chain.start or not max(chain.change(last), chain.change_around) < FADED:
        return None
    seen = [depth for depth in range(chain.start + 1, last + 1) if chain.change(depth) > 0]  # what has not underflowed
    end = seen[-1] if seen and chain.change(seen[-1]) < FADED else last
    return _forward(chain, "vanishing", end)


def _forward(chain: Chain, verdict: str, end: int) -> Verdict:
    """The signal has changed up to depth ``end``."""
    change = chain.change(end)
    factors = {d: math.sqrt(chain.of(d, "layer_gain")) for d in range(chain.start + 1, end + 1)}
    first = _first(factors, change ** (1 / len(factors)))
    steady = ratio(chain.size(end), chain.size(first - 1)) ** (1 / (end - first + 1))
    back = advice.gradient_of(chain.first, chain.gradient(chain.first))
    text = advice.forward(steady, first, end, change, chain.start, back, chain.activation)
    return Verdict(verdict, chain.place(first).path, "layer_gain", chain.of(first, "layer_gain"), text)


def _first(factors: dict[int, float], mean: float) -> int:
    """The first depth whose factor is as far from 1 as the root of the mean one, on the same side."""
    edge = math.sqrt(mean)
    # what grows from 0, or beyond all numbers, has no factor
    bad = (depth for depth, factor in factors.items() if (factor <= edge if mean < 1 else not factor < edge))
    return next(bad, min(factors))


def _vanishing_gradient(chain: Chain) -> Verdict | None:
    if _head_is_zero(chain):
        return None
    return _backward(chain, "vanishing") if chain.gradient(chain.first) < FADED else None


def _head_is_zero(chain: Chain) -> bool:
    """Whether hidden layers get their first gradient after the head's first update, as some want it."""
    return chain.of(chain.head, "pre_mean_square") == 0 and chain.gradient(chain.head - 1) == 0


def _chaotic(chain: Chain) -> Verdict | None:
    """The signal is bounded, but what tells inputs apart grows: so does the gradient on its way back."""
    return _backward(chain, "chaotic") if chain.gradient(chain.first) > BACKWARD_GROWN else None


def _backward(chain: Chain, verdict: str) -> Verdict:
    """The gradient has changed on its way back to the first layer."""
    way, change = range(chain.first, chain.last), chain.gradient(chain.first)
    # the first layer where it has neither underflowed nor overflowed
    seen = next((depth for depth in way if 0 < chain.gradient(depth) < math.inf), chain.last)
    mean = chain.gradient(seen) ** (1 / (chain.last - seen)) if seen < chain.last else change
    norms = {depth: chain.of(depth, "grad_norm") for depth in (*way, chain.last)}
    factors = {depth: norms[depth] / norms[depth + 1] if norms[depth + 1] else 0.0 for depth in way}
    bad = _first(factors, mean)
    text = advice.backward(mean, len(way), change, chain.first, chain.activation)
    return Verdict(verdict, chain.place(bad).path, "grad_norm", chain.gradient(bad), text)
