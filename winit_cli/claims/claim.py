"""What a statement says, as data. T is a draft as it was read, or a term with everything settled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from winit_cli.claims.entry import Given

T = TypeVar("T")
U = TypeVar("U")
OUTCOME = "outcome"  # what stands for the metric in the term of a Share


@dataclass(frozen=True)
class Value(Generic[T]):
    """One term, or the ratio (``/``) or difference (``-``) of two."""

    terms: tuple[T, ...]
    operator: Literal["", "/", "-"] = ""


@dataclass(frozen=True)
class Comparison(Generic[T]):
    """``left < right`` or ``left > right``; one of the two may be a number."""

    left: Value[T] | float
    relation: Literal["<", ">"]
    right: Value[T] | float


@dataclass(frozen=True)
class Within(Generic[T]):
    """``value in [low, high]``."""

    value: Value[T]
    low: float
    high: float


@dataclass(frozen=True)
class Share(Generic[T]):
    """Most trials of a label have an outcome."""

    term: T
    outcome: str


@dataclass(frozen=True)
class Portion(Generic[T]):
    """The share of seeds at which a statement holds lies between ``low`` and ``high``, ``None`` where nothing bounds
    it."""

    of: Comparison[T] | Within[T] | Share[T]
    low: float | None
    high: float | None


Statement = Comparison[T] | Within[T] | Share[T] | Portion[T]


@dataclass(frozen=True)
class Term:
    """A metric of a label, with its keys; ``lr`` is ``None`` where ``select:`` chooses it. ``at`` is its place in the
    text."""

    label: str
    metric: str
    keys: Mapping[str, int | str] = field(hash=False)
    lr: float | None
    at: int = field(compare=False)


@dataclass(frozen=True)
class Claim:
    """A claim as given, what it says, and the text of its metrics."""

    given: Given = field(compare=False)
    statement: Statement[Term]
    metric: str

    @property
    def text(self) -> str:
        """The statement as typed."""
        return self.given.entry.expect.strip()

    @property
    def terms(self) -> tuple[Term, ...]:
        """All its terms, from left to right."""
        return terms_of(self.statement)


def single(statement: Statement[T]) -> Comparison[T] | Within[T] | Share[T]:
    """What is said of one seed."""
    return statement.of if isinstance(statement, Portion) else statement


def values_of(statement: Statement[T]) -> tuple[Value[T], ...]:
    """The values in a statement that are no numbers, from left to right."""
    statement = single(statement)
    if isinstance(statement, Comparison):
        return tuple(side for side in (statement.left, statement.right) if isinstance(side, Value))
    return (statement.value,) if isinstance(statement, Within) else (Value((statement.term,)),)


def terms_of(statement: Statement[T]) -> tuple[T, ...]:
    """The terms in a statement, from left to right."""
    return tuple(term for value in values_of(statement) for term in value.terms)


def settled(statement: Statement[T], settle: Callable[[T], U]) -> Statement[U]:
    """The same statement with other terms."""
    one = _settled(single(statement), settle)
    return Portion(one, statement.low, statement.high) if isinstance(statement, Portion) else one


def _settled(
    statement: Comparison[T] | Within[T] | Share[T], settle: Callable[[T], U]
) -> Comparison[U] | Within[U] | Share[U]:

    def of(value: Value[T]) -> Value[U]:
        return Value(tuple(map(settle, value.terms)), value.operator)

    if isinstance(statement, Comparison):
        left, right = (of(side) if isinstance(side, Value) else side for side in (statement.left, statement.right))
        return Comparison(left, statement.relation, right)
    if isinstance(statement, Within):
        return Within(of(statement.value), statement.low, statement.high)
    return Share(settle(statement.term), statement.outcome)
