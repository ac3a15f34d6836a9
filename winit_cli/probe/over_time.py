"""What is ill about a recurrent layer over time."""

from __future__ import annotations

from winit_cli.criteria import BACKWARD_GROWN, FADED, LOST, SATURATED, Verdict
from winit_cli.probe import advice
from winit_cli.probe.chain import Chain, ratio
from winit_cli.probe.measured import lag_metric

_UNBOUNDED = ("RNN_RELU",)  # whose states can grow
# gates that have no part in keeping the state; those that have one are nearly open or closed where memory is long
_READING = {"LSTM": "output", "GRU": "reset"}


def gates_saturated(chain: Chain) -> Verdict | None:
    """Half of the values of a gate lie where it hardly moves."""
    for depth in chain.depths:
        place = chain.place(depth)
        gate = _READING.get(place.recurrence, "")
        metric = f"gate_saturated_{gate}"
        share = chain.of(depth, metric)
        if share >= SATURATED:
            text = advice.gates_saturated(share, gate, place.path)
            return Verdict("saturated", place.path, metric, share, text)
    return None


def growing_over_time(chain: Chain) -> Verdict | None:
    """The gradient grows on its way back in time: with the states, or while these stay bounded."""
    for depth in chain.depths:
        place, change = chain.place(depth), _change(chain, depth)
        if change > BACKWARD_GROWN:
            return _over_time(chain, depth, "exploding" if place.recurrence in _UNBOUNDED else "chaotic")
    return None


def fading_over_time(chain: Chain) -> Verdict | None:
    """The gradient is lost on its way back in time."""
    faded = (depth for depth in chain.depths if _change(chain, depth) < LOST)
    return next((_over_time(chain, depth, "vanishing") for depth in faded), None)


def reserve(chain: Chain) -> str:
    """What must be added where nothing is ill: that time was left out, or that the first steps count for little."""
    recurrent = [depth for depth in chain.depths if chain.place(depth).recurrence]
    if any(not chain.place(depth).last_lag for depth in recurrent):
        return advice.NOT_OVER_TIME
    faint = next((depth for depth in recurrent if _change(chain, depth) < FADED), None)
    return "" if faint is None else advice.faint(chain.place(faint).last_lag, _change(chain, faint))


def _change(chain: Chain, depth: int) -> float:
    """The gradient at the first step in proportion to that at the last; NaN where it was not followed in time."""
    lag = chain.place(depth).last_lag
    return ratio(chain.of(depth, lag_metric(lag)), chain.of(depth, lag_metric(0))) if lag else float("nan")


def _over_time(chain: Chain, depth: int, verdict: str) -> Verdict:
    place, change = chain.place(depth), _change(chain, depth)
    text = advice.over_time(place.path, place.recurrence, place.last_lag, change)
    return Verdict(verdict, place.path, lag_metric(place.last_lag), change, text)
