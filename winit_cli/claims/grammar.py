"""Read the text of a claim, see the grammar in ``winit_cli.claims``. Terms stay drafts until ``claims.check``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from winit_cli.claims.claim import Comparison, Share, Statement, Value, Within
from winit_cli.claims.metrics import METRICS, OUTCOMES
from winit_cli.claims.scan import ELLIPSIS, NUMBER, WORD, ClaimError, Scanner
from winit_cli.errors import brief, known

LONGEST = 1000  # characters
RELATIONS = "< or >, or in [low, high]"
OTHER_RELATIONS = {
    "<=": "write <; a seed at which both sides are equal is evidence for neither",
    ">=": "write >; a seed at which both sides are equal is evidence for neither",
    "!=": "write < or >",
    "=": "write in [low, high] with the interval that you take for equal",
}
_OTHER = re.compile(r"<=|>=|==?|!=|≤|≥|≠|=<|=>")
_SPELLED = {"==": "=", "≤": "<=", "≥": ">=", "≠": "!=", "=<": "<=", "=>": ">="}
_KEY = re.compile(r"[^\s=,\[\]]+")
_TEXT = re.compile(r"[^\s,\[\]]+")


@dataclass(frozen=True)
class Key:
    """One key in brackets with its text."""

    name: str
    text: str
    at: int


@dataclass(frozen=True)
class Draft:
    """A term as typed; ``at`` is the place of its metric, or of its label where it names none."""

    label: str
    metric: str | None
    keys: tuple[Key, ...]
    at: int


def parse(text: str, labels: Sequence[str]) -> Statement[Draft]:
    """The statement that a text makes about some labels.

    Raises:
        ClaimError: with the place of the first fault.
    """
    if len(text) > LONGEST:
        raise ClaimError(LONGEST, f"expected a statement of at most {LONGEST:,} characters")
    scanner = Scanner(text, labels)
    statement = _statement(scanner)
    if scanner.at < len(text):
        raise scanner.error(f"expected the end of the claim, got {scanner.here}; make further statements claims too")
    return statement


def parse_metric(text: str) -> Draft:
    """A metric with its keys, as in ``metric:``; its label is empty.

    Raises:
        ClaimError: with the place of the first fault.
    """
    scanner = Scanner(text, ())
    name = scanner.expects(WORD, f"a metric, e.g. {next(iter(METRICS))}")
    if name not in METRICS:
        raise scanner.error(f"no metric '{brief(name)}'; {known(name, METRICS)}", scanner.at - len(name))
    draft = Draft("", name, _keys(scanner), 0)
    if scanner.at < len(text):
        raise scanner.error(f"expected the end of the metric, got {scanner.here}")
    return draft


def _statement(scanner: Scanner) -> Statement[Draft]:
    left = _side(scanner)
    if isinstance(left, Value) and left.operator == "" and left.terms[0].metric is None:
        outcome = _outcome(scanner)
        if outcome:
            draft = left.terms[0]
            return Share(Draft(draft.label, None, draft.keys + _keys(scanner), draft.at), outcome)
    if isinstance(left, Value) and scanner.sees(WORD) == "in":
        scanner.takes("in")
        return _within(scanner, left)
    relation = _relation(scanner, left)
    at, right = scanner.at, _side(scanner)
    if isinstance(left, float) and isinstance(right, float):
        raise scanner.error("a claim needs a label; both sides are numbers", at)
    operators = {side.operator for side in (left, right) if isinstance(side, Value)}
    if operators == {"/", "-"}:
        raise scanner.error("a ratio cannot be compared with a difference; make two claims", at)
    return Comparison(left, relation, right)


def _relation(scanner: Scanner, left: Value[Draft] | float) -> Literal["<", ">"]:
    other = scanner.sees(_OTHER)
    if other:
        raise scanner.error(f"claims have no relation {other}; {OTHER_RELATIONS[_SPELLED.get(other, other)]}")
    relation = scanner.takes("<") or scanner.takes(">")
    if not relation:
        draft = left.terms[-1] if isinstance(left, Value) else None
        meant = scanner.meant(draft.at, draft.label) if draft and draft.metric is None else ""
        raise scanner.error(
            f"expected {RELATIONS}, got {scanner.here}" + (f"; did you mean the label '{meant}'?" if meant else "")
        )
    return cast(Literal["<", ">"], relation)


def _within(scanner: Scanner, value: Value[Draft]) -> Within[Draft]:
    scanner.expects("[", "an interval like [0.1, 0.2]")
    at, low = scanner.at, scanner.number()
    scanner.expects(",", "a comma and the upper end, like [0.1, 0.2]")
    high = scanner.number()
    scanner.expects("]", "] at the end of the interval")
    if low >= high:
        raise scanner.error(f"an interval begins with its lower end, got [{low:g}, {high:g}]", at)
    return Within(value, low, high)


def _outcome(scanner: Scanner) -> str:
    """The outcome that is claimed here; an empty text where something else is."""
    says_is = scanner.sees(WORD) == "is"
    if says_is:
        scanner.takes("is")
    word = scanner.sees(WORD)
    if word in OUTCOMES:
        return scanner.takes(word)
    if says_is:
        raise scanner.error(f"expected an outcome after is, got {scanner.here}; {known(word, OUTCOMES)}")
    return ""


def _side(scanner: Scanner) -> Value[Draft] | float:
    if scanner.sees(NUMBER) and len(scanner.sees(NUMBER)) >= len(scanner.longest()):
        return scanner.number()
    first = _term(scanner)
    operator = scanner.takes("/") or scanner.takes("-")
    if not operator:
        return Value((first,))
    if scanner.sees(NUMBER) and not scanner.longest():
        raise scanner.error(f"expected a label after {operator}, got {scanner.here}; numbers stand alone on their side")
    return Value((first, _term(scanner)), cast(Literal["/", "-"], operator))


def _term(scanner: Scanner) -> Draft:
    start, label = scanner.at, scanner.label()
    if scanner.takes(ELLIPSIS):
        return Draft(label, None, (), start)
    at, word = scanner.at, scanner.sees(WORD)
    if not word or word in ("in", "is", *OUTCOMES):
        return Draft(label, None, _keys(scanner), start)
    if word not in METRICS:
        raise _no_metric(scanner, word, start, label)
    scanner.takes(word)
    return Draft(label, word, _keys(scanner), at)


def _no_metric(scanner: Scanner, word: str, start: int, label: str) -> ClaimError:
    words, meant = (*METRICS, *OUTCOMES), scanner.meant(start, label)
    if meant and not difflib.get_close_matches(word, words, n=1, cutoff=0.75):
        return scanner.error(f"no metric '{brief(word)}'; did you mean the label '{meant}'?")
    return scanner.error(f"no metric '{brief(word)}'; {known(word, words)}")


def _keys(scanner: Scanner) -> tuple[Key, ...]:
    """``[step=100,lr=0.1]``; nothing where there are no brackets."""
    if not scanner.takes("["):
        return ()
    keys: list[Key] = []
    while True:
        at, name = scanner.at, scanner.expects(_KEY, "a key like step=100")
        scanner.expects("=", f"= and a value after {brief(name)}")
        if name in {key.name for key in keys}:
            raise scanner.error(f"{brief(name)} is given twice", at)
        keys.append(Key(name, scanner.expects(_TEXT, f"a value after {brief(name)}="), at))
        if not scanner.takes(","):
            scanner.expects("]", "a comma or ] after the value")
            return tuple(keys)
