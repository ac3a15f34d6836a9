"""The first layer of a recurrent model, as theory sees it.

Pre-activations of step t are ``z ~ N(0, q_t)``, ``q_t = n Var(W) E[h_(t-1)^2] + d Var(U) E[x^2] + Var(b)``, where h
follows from q by the layer's formula, gates being independent of each other (Chen, Pennington & Schoenholz 2018,
arXiv:1806.05394).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from winit_cli.lint.expectation import expectation
from winit_cli.lint.filled import Filled
from winit_cli.lint.subject import Label

SETTLED = 50  # steps after which nothing changes any more


@dataclass(frozen=True)
class Recurrence:
    """The first layer: ``sigma_w2 = n Var(W)``, what inputs and biases add to q, its weight, the number of steps."""

    sigma_w2: float
    outside: float
    weight: Filled
    steps: int

    @property
    def scatter(self) -> float:
        """How far from sigma_w the largest eigenvalues of n x n weights may lie, in proportion."""
        return 1 + 1 / math.sqrt(self.weight.slot.shape[1])

    def squares(self, next_square: Callable[[float, float], float]) -> list[float]:
        """q step by step; ``next_square(q, h2)`` is ``E[h^2]`` after a step whose pre-activations have q."""
        square, found = 0.0, [self.outside]
        for _ in range(min(self.steps, SETTLED) - 1):
            square = next_square(found[-1], square)
            found.append(self.sigma_w2 * square + self.outside)
        return found


def recurrence_of(label: Label) -> Recurrence | None:
    """That of a recurrent model of winit's own; ``None`` for others, where weights are not drawn with mean 0, and where
    no gradient comes back from a head of zeros."""
    names = ("rnn.weight_hh_l0", "rnn.weight_ih_l0", "rnn.bias_hh_l0", "rnn.bias_ih_l0")
    parts = [part for part in map(label.by_name.get, names) if part is not None]
    is_own = not label.setting.model.source and label.setting.model.name in ("rnn", "lstm", "gru")
    if not is_own or any(part.moments.std is None or part.moments.mean != 0 for part in parts):
        return None
    recurrent, given, *biases = parts
    if not (recurrent.is_drawn and given.is_drawn) or label.by_name["head.weight"].is_zero:
        return None
    outside = _sigma2(given) * label.inputs.square + sum(_variance(part) for part in biases)
    if not 0 < outside < math.inf:
        return None
    return Recurrence(_sigma2(recurrent), outside, recurrent, label.setting.task.input_shape[-2])


def _variance(part: Filled) -> float:
    return (part.moments.std or 0.0) ** 2


def _sigma2(part: Filled) -> float:
    return part.slot.shape[1] * _variance(part)


def squares_of(found: Recurrence, model: str, activation: str) -> list[float]:
    """q step by step, of a plain net's units or of gates."""
    if model == "rnn":
        return found.squares(lambda q, _: expectation(activation, "square", 0.0, q))
    return found.squares(_lstm() if model == "lstm" else _gru(found))


def _lstm() -> Callable[[float, float], float]:
    """``c' = f c + i g``, ``h = o tanh(c)``, with gates i, f, o and g = tanh(z)."""
    cell = [0.0]

    def square(q: float, _: float) -> float:
        gate = expectation("sigmoid", "square", 0.0, q)
        cell[0] = gate * (cell[0] + expectation("tanh", "square", 0.0, q))
        return gate * expectation("tanh", "square", 0.0, cell[0])

    return square


def _gru(found: Recurrence) -> Callable[[float, float], float]:
    """``h' = u h + (1 - u) n``, with gates r and u and n = tanh(U x + r W h)."""

    def square(q: float, before: float) -> float:
        gate = expectation("sigmoid", "square", 0.0, q)
        q_new = found.outside + gate * found.sigma_w2 * before
        return gate * (before + expectation("tanh", "square", 0.0, q_new))

    return square


def lstm_factor(found: Recurrence) -> float:
    """By which the gradient of an LSTM's cell changes with a step back: where gates hardly move from 1/2, it is
    multiplied by ``f + i o tanh'(z) tanh'(c) W``, whose largest eigenvalue is 1/2 + 1/4 sigma_w tanh'(z) tanh'(c), as
    those of W fill a disc of radius sigma_w (the circular law)."""
    q = squares_of(found, "lstm", "tanh")[-1]
    gate, new = expectation("sigmoid", "square", 0.0, q), expectation("tanh", "square", 0.0, q)
    cell = gate * new / (1 - gate)
    slopes = expectation("tanh", "slope", 0.0, q) * expectation("tanh", "slope", 0.0, cell)
    return 0.5 + 0.25 * math.sqrt(found.sigma_w2 * slopes)
