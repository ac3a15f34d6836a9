"""Mean and variance of a signal, and what becomes of them in an operation.

After the recursion of Bingham & Miikkulainen 2021, AutoInit (arXiv:2109.08958): every signal is taken for Gaussian, and
its values for independent. The formulas of pooling, dropout and recurrent layers are winit's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import expit, ndtr
from torch import Tensor

from winit_cli.theory import quadrature
from winit_cli.theory.activations import ACTIVATIONS, Array

SPLITS = 8  # of the panels of the quadrature, for functions like sin(30 z)
MOST_STEPS = 200  # in time, of which a state converges in far fewer


@dataclass(frozen=True)
class Signal:
    """Of all values together: every example, unit and place."""

    mean: float
    variance: float

    @classmethod
    def of(cls, values: Tensor) -> Signal:
        """Measured."""
        values = values.detach().double()
        return cls(float(values.mean()), float(values.var(correction=0)))

    @property
    def square(self) -> float:
        """The mean square, which is what a layer of weights with mean 0 passes on."""
        return self.variance + self.mean**2

    def scaled(self, factor: float) -> Signal:
        return Signal(factor * self.mean, factor**2 * self.variance)

    def plus(self, other: Signal) -> Signal:
        """A sum of independent signals."""
        return Signal(self.mean + other.mean, self.variance + other.variance)

    def times(self, other: Signal) -> Signal:
        """A product of independent signals."""
        mean = self.mean * other.mean
        return Signal(mean, self.square * other.square - mean**2)

    def averaged(self, count: float) -> Signal:
        """The average of so many values."""
        return Signal(self.mean, self.variance / count)

    def largest(self, count: int) -> Signal:
        """The largest of so many values."""
        return _standard_largest(count).scaled(math.sqrt(self.variance)).plus(Signal(self.mean, 0))

    def dropped(self, p: float) -> Signal:
        """Each value is 0 with probability p, the others are divided by 1 - p."""
        return Signal(self.mean, (self.variance + p * self.mean**2) / (1 - p))

    def through(self, function: Callable[[Array], Array], kinks: Sequence[float] = ()) -> Signal:
        """An activation, which may give several values for each."""
        mean, square = (self._expected(function, kinks, power) for power in (1, 2))
        return Signal(mean, max(0.0, square - mean**2))

    def _expected(self, function: Callable[[Array], Array], kinks: Sequence[float], power: int) -> float:
        def values(u: Array) -> Array:
            found: Array = (function(u + self.mean).reshape(-1, *u.shape) ** power).mean(0)
            return found

        if self.variance == 0:
            return float(values(np.zeros(1))[0])
        return quadrature.mean(values, math.sqrt(self.variance), [k - self.mean for k in kinks], splits=SPLITS)


def mixed(parts: Sequence[tuple[Signal, float]]) -> Signal:
    """Signals side by side, each with the number of its values."""
    total = sum(count for _, count in parts)
    mean = sum(signal.mean * count for signal, count in parts) / total
    return Signal(mean, sum(signal.square * count for signal, count in parts) / total - mean**2)


@cache
def _standard_largest(count: int) -> Signal:
    """Of N(0, 1): the density is count φ(z) Φ(z)^(count - 1)."""

    def moment(power: int) -> float:
        return quadrature.mean(lambda z: count * z**power * ndtr(z) ** (count - 1), 1.0, splits=SPLITS)

    return Signal(moment(1), moment(2) - moment(1) ** 2)


def state(mode: str, given: float, feedback: float, steps: int) -> Signal:
    """The state of a recurrent layer after so many steps from zero, biases aside.

    ``mode`` is torch's (LSTM, GRU, RNN_TANH, RNN_RELU); ``given`` the mean square of the projected inputs, and
    ``feedback`` that of the recurrent projection in proportion to the state's: 1 where it is orthogonal.
    """
    step = {"LSTM": _lstm, "GRU": _gru}.get(mode)
    function = ACTIVATIONS[mode.removeprefix("RNN_").lower()] if step is None else np.tanh
    kinks = (0,) if mode == "RNN_RELU" else ()
    hidden, cell = Signal(0, 0), 0.0
    for _ in range(min(steps, MOST_STEPS)):
        before, back = hidden, feedback * hidden.square
        if step is None:
            hidden = Signal(0, given + back).through(function, kinks)
        else:
            hidden, cell = step(given, back, hidden.square, cell)
        if abs(hidden.square - before.square) <= 1e-6 * hidden.square:
            break
    return hidden


def _lstm(given: float, back: float, hidden: float, cell: float) -> tuple[Signal, float]:
    """c ← f c + i g, h = o tanh(c)."""
    gate, candidate = (Signal(0, given + back).through(f).square for f in (expit, np.tanh))
    cell = gate * (cell + candidate)
    return Signal(0, gate * Signal(0, cell).through(np.tanh).square), cell


def _gru(given: float, back: float, hidden: float, cell: float) -> tuple[Signal, float]:
    """h ← (1 - z) n + z h."""
    gate = Signal(0, given + back).through(expit).square
    candidate = Signal(0, given + gate * back).through(np.tanh).square
    return Signal(0, gate * (candidate + hidden)), cell
