"""Recurrent weights too small or too large for the number of time steps.

Pre-activations of step t are ``z ~ N(0, q_t)``, ``q_t = n Var(W) E[h_(t-1)^2] + d Var(U) E[x^2] + Var(b)``, where h
follows from q by the layer's formula, gates being independent of each other; through ``h_t = f(z_t)`` the squared norm
of a gradient changes by ``n Var(W) E[f'(z_t)^2]`` with every step back in time (Chen, Pennington & Schoenholz 2018,
arXiv:1806.05394).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from winit_cli.lint.expectation import expectation, saturated
from winit_cli.lint.filled import Filled
from winit_cli.lint.subject import Found, Label
from winit_cli.lint.words import std_text, times
from winit_cli.probe.criteria import BACKWARD_GROWN, FADED, SATURATED

SURE = 1.1  # how far beyond a limit, in proportion, an expectation must lie: networks of a few seeds scatter around it
SETTLED = 50  # steps after which nothing changes any more
SHORT = 0.1  # of the steps: what is lost on so short a way cannot be learned from; a longer way, training can mend
_CURES = {
    "relu": "eye (Le et al. 2015), or orthogonal with gain: relu",
    "tanh": "orthogonal, and smaller input weights, or use model: lstm or gru",
}


@dataclass(frozen=True)
class Recurrence:
    """The first layer: ``sigma_w2 = n Var(W)``, what inputs and biases add to q, its weight, the number of steps."""

    sigma_w2: float
    outside: float
    weight: Filled
    steps: int

    def settled(self, next_square: Callable[[float, float], float]) -> float:
        """q at the last step; ``next_square(q, h2)`` is ``E[h^2]`` after a step whose pre-activations have q."""
        square, q = 0.0, self.outside
        for _ in range(min(self.steps, SETTLED)):
            square = next_square(q, square)
            q = self.sigma_w2 * square + self.outside
        return q


def recurrence_of(label: Label) -> Recurrence | None:
    """That of a recurrent model of winit's own; ``None`` for others, and where weights are not drawn with mean 0."""
    names = ("rnn.weight_hh_l0", "rnn.weight_ih_l0", "rnn.bias_hh_l0", "rnn.bias_ih_l0")
    parts = [part for part in map(label.by_name.get, names) if part is not None]
    is_own = not label.setting.model.source and label.setting.model.name in ("rnn", "lstm", "gru")
    if not is_own or any(part.moments.std is None or part.moments.mean != 0 for part in parts):
        return None
    recurrent, given, *biases = parts
    if not (recurrent.is_drawn and given.is_drawn):
        return None
    outside = _sigma2(given) * label.input_square + sum(_variance(part) for part in biases)
    if not 0 < outside < math.inf:
        return None
    return Recurrence(_sigma2(recurrent), outside, recurrent, label.setting.task.input_shape[-2])


def _variance(part: Filled) -> float:
    return (part.moments.std or 0.0) ** 2


def _sigma2(part: Filled) -> float:
    return part.slot.shape[1] * _variance(part)


def lost_in_time(label: Label) -> Iterator[Found]:
    """A plain recurrent net whose gradient is lost on its way to the first step."""
    yield from _ends_of_time(label, lambda change: change < FADED / SURE)


def grown_in_time(label: Label) -> Iterator[Found]:
    """One whose gradient has grown beyond use there; or gates and units that begin where they are flat."""
    yield from _flat(label) or _ends_of_time(label, lambda change: change > BACKWARD_GROWN * SURE)


def _ends_of_time(label: Label, is_ill: Callable[[float], bool]) -> Iterator[Found]:
    found = recurrence_of(label)
    if found is None or label.setting.model.name != "rnn":
        return
    activation, factor = _activation(label), factor_of(label, found)
    log = (found.steps - 1) * math.log(factor or 1e-300)
    change = math.exp(max(-700.0, min(log, 700.0)))
    if is_ill(change):
        how = "grows" if factor > 1 else "shrinks"
        is_grave = factor > 1 or factor ** (found.steps * SHORT) < FADED
        yield Found(
            (label,),
            _path(label, found),
            f"the gradient {how} {factor:.2g}x per time step on its way back, to {times(change)} the last step's at "
            f"the first of {found.steps} ({std_text(found.weight)})",
            f"give rnn.weight_hh* a rule of its own with {_CURES[activation]}",
            "warning" if is_grave else "note",
            abs(log),
        )


def factor_of(label: Label, found: Recurrence) -> float:
    """By which a plain recurrent net's gradient changes with a step back, at the last one."""
    activation = _activation(label)
    q = found.settled(lambda q, _: expectation(activation, "square", 0.0, q))
    return math.sqrt(found.sigma_w2 * expectation(activation, "slope", 0.0, q))


def _activation(label: Label) -> str:
    return str(label.setting.experiment.model.options["nonlinearity"])


def _path(label: Label, found: Recurrence) -> tuple[str | int, ...]:
    return label.path(found.weight, "std", "gain", "nonlinearity", "scheme")


def _flat(label: Label) -> list[Found]:
    """Units of a tanh net, or gates, most of which lie where they are flat."""
    found = recurrence_of(label)
    if found is None:
        return []
    name = label.setting.model.name
    activation = _activation(label) if name == "rnn" else "sigmoid"
    q = _gated(found, name) if name != "rnn" else found.settled(lambda q, _: expectation(activation, "square", 0.0, q))
    share = saturated(activation, 0.0, q)
    if share < SATURATED * SURE:
        return []
    what = "units" if name == "rnn" else "gates"
    reason = f"{share:.0%} of the {what}' pre-activations lie where {activation} is flat ({std_text(found.weight)})"
    cure = "orthogonal for rnn.weight_hh*, xavier_uniform for rnn.weight_ih*"
    return [Found((label,), _path(label, found), reason, cure, extent=share)]


def _gated(found: Recurrence, model: str) -> float:
    """q of the gates of an LSTM (i, f, o and g = tanh(z): ``c' = f c + i g``, ``h = o tanh(c)``) or a GRU (r, u and
    ``n = tanh(U x + r W h)``: ``h' = u h + (1 - u) n``)."""
    cell = [0.0]

    def lstm(q: float, _: float) -> float:
        gate = expectation("sigmoid", "square", 0.0, q)
        cell[0] = gate * (cell[0] + expectation("tanh", "square", 0.0, q))
        return gate * expectation("tanh", "square", 0.0, cell[0])

    def gru(q: float, square: float) -> float:
        gate = expectation("sigmoid", "square", 0.0, q)
        q_new = found.outside + gate * found.sigma_w2 * square
        return gate * (square + expectation("tanh", "square", 0.0, q_new))

    return found.settled(lstm if model == "lstm" else gru)
