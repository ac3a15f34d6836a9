"""The mean-field numbers of one setting together, and what they mean in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from winit_cli.theory import meanfield
from winit_cli.theory.critical import CriticalPoint
from winit_cli.theory.roots import NOISE

NEAR = 1e-3  # |chi_1 - 1| below which a setting is called critical: signals then reach a thousand layers and more
REACH = 6  # depth scales: nets of up to about 6 xi_c layers train (Schoenholz et al. 2017)
WITHOUT_Q = "none without q_star"
WITHOUT_CRITICAL = "none without a critical sigma_w2"


@dataclass(frozen=True)
class MeanField:
    """The numbers of ``winit_cli.theory.meanfield``; None for what does not exist."""

    q_star: float | None
    chi_1: float | None
    c_star: float | None
    xi_q: float | None
    xi_c: float | None


def mean_field(activation: str, sigma_w2: float, sigma_b2: float) -> MeanField:
    """All numbers of one setting, ``sigma_w2 = fan_in Var(w)`` and ``sigma_b2 = Var(b)``."""
    numbers = (meanfield.q_star, meanfield.chi_1, meanfield.c_star, meanfield.xi_q, meanfield.xi_c)
    return MeanField(*(number(activation, sigma_w2, sigma_b2) for number in numbers))


def phase(found: MeanField) -> str:
    """``ordered``, ``critical``, ``chaotic``, or ``unbounded`` where signals grow without end."""
    if found.chi_1 is not None and abs(found.chi_1 - 1) < NEAR:
        return "critical"
    if found.q_star is None or found.chi_1 is None:
        return "unbounded"
    return "ordered" if found.chi_1 < 1 else "chaotic"


def meanings(found: MeanField, sigma_b2: float) -> dict[str, str]:
    """A sentence for every number."""
    return {
        "q_star": _of_q(found, sigma_b2),
        "chi_1": _of_chi(found),
        "c_star": _of_c(found),
        "xi_q": _of_xi_q(found),
        "xi_c": _of_xi_c(found),
    }


def _of_q(found: MeanField, sigma_b2: float) -> str:
    if found.q_star == 0:
        return "signals die out: the mean square of pre-activations goes to 0"
    if found.q_star is not None:
        return "the mean square at which pre-activations settle"
    return f"none: the mean square {growth(found.chi_1, sigma_b2)}"


def growth(factor: float | None, sigma_b2: float) -> str:
    """What a mean square without a fixed point does; the factor of a layer, where it has one."""
    if factor is None:
        return "grows without end"
    if not math.isclose(factor, 1, abs_tol=NOISE):
        return f"grows without end, {factor:.4g}-fold in every layer"
    return f"grows by sigma_b2 = {sigma_b2:g} in every layer" if sigma_b2 else "stays as it comes in, whatever it is"


def _of_chi(found: MeanField) -> str:
    if found.chi_1 is None:
        return WITHOUT_Q
    if phase(found) == "critical":
        return "critical: squared gradients keep their size from layer to layer"
    does, end = ("shrink", "vanish") if found.chi_1 < 1 else ("grow", "explode")
    return f"{phase(found)}: squared gradients {does} by this factor in every layer, and {end} with depth"


def _of_c(found: MeanField) -> str:
    if found.c_star is None:
        return WITHOUT_Q
    if found.q_star == 0:
        return "by convention: two signals that die out are alike"
    if found.c_star == 1:
        return "any two inputs become alike"
    return f"any two inputs, however alike, become {'unrelated' if found.c_star == 0 else 'this much correlated'}"


def _of_xi_q(found: MeanField) -> str:
    if found.xi_q is None:
        return WITHOUT_Q
    if found.xi_q == math.inf:
        return "infinite: q_star is not approached exponentially"
    return "layers over which the distance of the mean square from q_star falls by e"


def _of_xi_c(found: MeanField) -> str:
    if found.xi_c is None:
        return WITHOUT_Q
    if found.xi_c == math.inf:
        return "infinite: depth does not limit how far signals reach"
    reach = REACH * found.xi_c
    if reach < 1.5:
        return f"signals are lost in the first layer or the second: {REACH} xi_c = {reach:.2g}"
    return f"signals reach, and nets train, to a depth of about {REACH} xi_c = {reach:.0f} layers"


def of_critical(point: CriticalPoint, sigma_b2: float) -> tuple[str, str]:
    """A sentence on the critical sigma_w2, and one on q* there."""
    if point.sigma_w2 is None:
        return "none: chi_1 stays below 1 wherever signals settle", WITHOUT_CRITICAL
    weights = f"chi_1 = 1: weights of standard deviation {math.sqrt(point.sigma_w2):.5g} / sqrt(fan_in)"
    if point.q_star is None:
        return weights, f"none: the mean square {growth(1, sigma_b2)}"
    if point.slope is not None and point.slope > 1 + meanfield.CRITICAL:
        return weights, f"not stable: a departure from this mean square grows {point.slope:.4g}-fold in every layer"
    return weights, _of_q(MeanField(point.q_star, 1, 1, None, None), sigma_b2)
