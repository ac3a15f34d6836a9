"""Recurrent weights too small or too large for the number of time steps.

Through ``h_t = f(z_t)``, ``z_t ~ N(0, q)``, the squared norm of a gradient changes by ``n Var(W) E[f'(z_t)^2]`` with
every step back in time (Chen, Pennington & Schoenholz 2018, arXiv:1806.05394).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

from winit_cli.criteria import BACKWARD_GROWN, FADED, LOST, SATURATED
from winit_cli.lint.expectation import LEAST, expectation, saturated
from winit_cli.lint.recurrence import Recurrence, recurrence_of, squares_of
from winit_cli.lint.subject import Found, Label
from winit_cli.lint.words import ending, is_beyond, std_text

SURE = 1.1  # how far beyond a limit, in proportion, an expectation must lie: networks of a few seeds scatter around it
_CURES = {
    "relu": "recurrent: eye in the entry (Le et al. 2015), or recurrent: {scheme: orthogonal, gain: relu}",
    "tanh": "recurrent: orthogonal in the entry and smaller input weights (input:), or model: lstm or gru",
}


def lost_in_time(label: Label) -> Iterator[Found]:
    """A plain recurrent net whose gradient is lost on its way to the first step."""
    yield from _ends_of_time(label, grown=False)


def grown_in_time(label: Label) -> Iterator[Found]:
    """One whose gradient has grown beyond use there; or gates and units that begin where they are flat."""
    yield from _flat(label) or _ends_of_time(label, grown=True)


def _ends_of_time(label: Label, *, grown: bool) -> Iterator[Found]:
    found = recurrence_of(label)
    if found is None or label.setting.model.name != "rnn":
        return
    factor, lags = factor_of(label, found), found.steps - 1
    change, least, most = (power(base, lags) for base in (factor, factor / found.scatter, factor * found.scatter))
    if (least > BACKWARD_GROWN) if grown else (change < FADED / SURE):
        how, whose, comma = "grows" if factor > 1 else "shrinks", "the last step's", "" if is_beyond(change) else ","
        steady = f" {factor:.2g}x per time step" if factor else ""
        yield Found(
            (label,),
            _path(label, found),
            f"the gradient {how}{steady} on its way back{comma} "
            f"{ending(change, whose, f'at the first of {found.steps}')} ({std_text(found.weight)})",
            _CURES[label.activation or ""],
            "warning" if grown or most < LOST else "note",
            abs(lags * math.log(factor or LEAST)),
        )


def power(factor: float, steps: int) -> float:
    """``factor^steps``, within the range of numbers."""
    return math.exp(max(-700.0, min(steps * math.log(max(factor, LEAST)), 700.0)))


def factor_of(label: Label, found: Recurrence) -> float:
    """By which a plain recurrent net's gradient changes with a step back, at the last one."""
    activation = label.activation or ""
    q = squares_of(found, "rnn", activation)[-1]
    return math.sqrt(found.sigma_w2 * expectation(activation, "slope", 0.0, q))


def _path(label: Label, found: Recurrence) -> tuple[str | int, ...]:
    return label.path(found.weight, "std", "gain", "nonlinearity", "scheme")


def _flat(label: Label) -> list[Found]:
    """Units of a tanh net, or gates, most of which lie where they are flat."""
    found = recurrence_of(label)
    if found is None:
        return []
    name = label.setting.model.name
    activation = (label.activation or "") if name == "rnn" else "sigmoid"
    share = statistics.mean(saturated(activation, 0.0, q) for q in squares_of(found, name, activation))
    if share < SATURATED * SURE:
        return []
    what = "units" if name == "rnn" else "gates"
    reason = f"{share:.0%} of the {what}' pre-activations lie where {activation} is flat ({std_text(found.weight)})"
    cure = "scheme: xavier_uniform with recurrent: orthogonal"
    return [Found((label,), _path(label, found), reason, cure, extent=share)]
