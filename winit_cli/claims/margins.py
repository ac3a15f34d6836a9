"""By how much a claim holds at each seed, and the number that is told of it. n seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from winit_cli.claims.claim import Comparison, Term, Value, Within, values_of
from winit_cli.stats import Floats

Side = Floats | float
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Margins:
    """``tests`` are margins (n,), one array for each bound that must hold: positive where it does, infinite where only
    the sign is known. ``shown`` (n,) is what the claim is about; with ``in_logs`` its logarithm."""

    tests: tuple[Floats, ...]
    shown: Floats
    in_logs: bool


def margins(statement: Comparison[Term] | Within[Term], numbers: Sequence[Floats]) -> Margins:
    """From the numbers (n,) of the terms, in their order; NaN where one has none."""
    is_positive = all(bool((array > 0).all()) for array in numbers)
    found = _margins(statement, numbers, in_logs=_is_ratio(statement) and is_positive)
    # a seed where a margin is not known counts against the claim
    return replace(found, tests=tuple(np.where(np.isnan(test), -np.inf, test) for test in found.tests))


def holds(statement: Comparison[Term] | Within[Term], numbers: Sequence[Floats]) -> tuple[Bools, Bools]:
    """Where a statement holds and where that is known (n,): a comparison does not where both sides are equal, an
    interval has its ends."""
    tests = np.array(_margins(statement, numbers, in_logs=False).tests)
    known = ~np.isnan(tests).any(axis=0)
    met = (tests >= 0) if isinstance(statement, Within) else (tests > 0)
    return np.asarray(known & met.all(axis=0)), np.asarray(known)


def _is_ratio(statement: Comparison[Term] | Within[Term]) -> bool:
    return any(value.operator == "/" for value in values_of(statement))


def _margins(statement: Comparison[Term] | Within[Term], numbers: Sequence[Floats], *, in_logs: bool) -> Margins:
    """The same; a margin that is not known is NaN."""
    scale = _Scale(_is_ratio(statement), in_logs)
    left = iter(numbers)
    if isinstance(statement, Within):
        value = scale.value(statement.value, left)
        tests = (scale.margin(value, scale.number(statement.low)), scale.margin(scale.number(statement.high), value))
        return Margins(tests, value, scale.in_logs)
    sides = [
        scale.value(side, left) if isinstance(side, Value) else scale.number(side)
        for side in (statement.left, statement.right)
    ]
    larger, smaller = sides if statement.relation == ">" else reversed(sides)
    return Margins((scale.margin(larger, smaller),), scale.shown(*sides), scale.in_logs)


@dataclass(frozen=True)
class _Scale:
    """How values are told apart: by their differences, in claims about ratios by those of logarithms, and where these
    do not exist by the sign alone."""

    is_ratio: bool
    in_logs: bool

    def number(self, number: float) -> float:
        if not self.in_logs:
            return number
        return math.log(number) if number > 0 else -math.inf

    def value(self, value: Value[Term], numbers: Iterator[Floats]) -> Floats:
        """A value at each seed; NaN where it is not known, as where both of two diverged."""
        terms = [np.log(next(numbers)) if self.in_logs else next(numbers) for _ in value.terms]
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            if not value.operator:
                return terms[0]
            if value.operator == "-" or self.in_logs:
                return np.asarray(terms[0] - terms[1])
            return _ratio(*terms)

    def margin(self, larger: Side, smaller: Side) -> Floats:
        """How far the larger is above the smaller; NaN where that is not known."""
        found = _minus(larger, smaller)
        if self.is_ratio and not self.in_logs:
            return np.select([found > 0, found < 0], [np.inf, -np.inf], found)
        return found

    def shown(self, left: Side, right: Side) -> Floats:
        """The side that is no number, or what the left one is more than the right one."""
        if isinstance(left, float) or isinstance(right, float):
            return np.asarray(right if isinstance(left, float) else left)
        return _ratio(left, right) if self.is_ratio and not self.in_logs else _minus(left, right)


def _minus(left: Side, right: Side) -> Floats:
    """The difference; two trials that both diverged are equal."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.equal(left, right), 0.0, np.subtract(left, right)))


def _ratio(left: Floats, right: Floats) -> Floats:
    """The ratio; an accuracy of -inf, of a trial that diverged, is as good as 0."""
    left, right = (np.where(np.isneginf(side), 0.0, side) for side in (left, right))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        return np.asarray(left / right)
