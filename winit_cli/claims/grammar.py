"""Read the text of a claim, see the grammar in ``winit_cli.claims``. Terms stay drafts until ``claims.check``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, cast

from winit_cli.claims.claim import Comparison, Portion, Share, Statement, Value, Within
from winit_cli.claims.draft import Draft, keys_of, term_of
from winit_cli.claims.metrics import METRICS, OUTCOMES
from winit_cli.claims.scan import NUMBER, WORD, ClaimError, Scanner
from winit_cli.errors import brief, known

LONGEST = 1000  # characters
RELATIONS = "< or >, or in [low, high]"
OTHER_RELATIONS = {
    "<=": "write <; {tie}",
    ">=": "write >; {tie}",
    "!=": "write < or >",
    "=": "write in [low, high] with the interval that you take for equal",
}
TIE = "a seed at which both sides are equal is evidence for neither"
TIE_INSIDE = "where both sides are equal at a seed, it does not hold there"
TIE_OF_SHARES = "a share that is equal to the bound is evidence for neither"
OF_SHARES = (
    "write share(STATEMENT) > 0.9, where the statement is what holds at a seed, as in share({label} stuck) > 0.9"
)
_OTHER = re.compile(r"<=|>=|==?|!=|≤|≥|≠|=<|=>")
_SPELLED = {"==": "=", "≤": "<=", "≥": ">=", "≠": "!=", "=<": "<=", "=>": ">="}
_IN = re.compile(r"in\b")
_SHARE = re.compile(r"share\s*\(")
_MEANS_SHARE = re.compile(r"(?:.*\W)?share(?:\s*\(|\s+\w)", re.IGNORECASE | re.DOTALL)


def is_share(text: str) -> bool:
    """Whether a claim is about a share of seeds."""
    return _SHARE.match(text.lstrip()) is not None


def parse(text: str, labels: Sequence[str]) -> Statement[Draft]:
    """The statement that a text makes about some labels.

    Raises:
        ClaimError: with the place of the first fault.
    """
    if len(text) > LONGEST:
        raise ClaimError(LONGEST, f"expected a statement of at most {LONGEST:,} characters")
    scanner = Scanner(text, labels)
    if scanner.takes(_SHARE):
        statement: Statement[Draft] = _portion(scanner)
    else:
        try:
            statement = _statement(scanner, TIE)
        except ClaimError:
            if not any("share" in label.lower() for label in labels) and _MEANS_SHARE.match(text):
                raise _no_share(scanner, 0) from None
            raise
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
    draft = Draft("", name, keys_of(scanner), 0)
    if scanner.at < len(text):
        raise scanner.error(f"expected the end of the metric, got {scanner.here}")
    return draft


def _portion(scanner: Scanner) -> Portion[Draft]:
    """What follows ``share(``."""
    if scanner.sees(_SHARE):
        raise scanner.error("a share is of seeds at which something holds, not of shares")
    one = _statement(scanner, TIE_INSIDE)
    scanner.expects(")", ") after what is said of each seed")
    if scanner.takes(_IN):
        at = scanner.at
        low, high = _interval(scanner, _part)
        if (low, high) == (0, 1):
            raise scanner.error("every share lies in [0, 1]; narrow the interval", at)
        return Portion(one, None if low == 0 else low, None if high == 1 else high)
    relation = _relation(scanner, 0.0, TIE_OF_SHARES)
    at, bound = scanner.at, _part(scanner)
    if bound == (1 if relation == ">" else 0):
        raise scanner.error(f"no share is {'above 1' if bound else 'below 0'}; write another bound", at)
    return Portion(one, bound, None) if relation == ">" else Portion(one, None, bound)


def _part(scanner: Scanner) -> float:
    """A share of seeds."""
    at, share = scanner.at, scanner.number()
    if not 0 <= share <= 1:
        raise scanner.error(f"a share lies between 0 and 1, got {share:g}", at)
    return share


def _no_share(scanner: Scanner, at: int) -> ClaimError:
    label = scanner.labels[0] if scanner.labels else "zeros"
    return scanner.error(OF_SHARES.format(label=label), at)


def _statement(scanner: Scanner, tie: str) -> Comparison[Draft] | Within[Draft] | Share[Draft]:
    left = _side(scanner)
    if isinstance(left, Value) and left.operator == "" and left.terms[0].metric is None:
        outcome = _outcome(scanner)
        if outcome:
            draft = left.terms[0]
            return Share(Draft(draft.label, None, draft.keys + keys_of(scanner), draft.at), outcome)
    if isinstance(left, Value) and scanner.takes(_IN):
        return Within(left, *_interval(scanner, Scanner.number))
    if tie == TIE_INSIDE and scanner.sees(")"):
        raise _no_share(scanner, scanner.at)
    relation = _relation(scanner, left, tie)
    at, right = scanner.at, _side(scanner)
    if isinstance(left, float) and isinstance(right, float):
        raise scanner.error("a claim needs a label; both sides are numbers", at)
    operators = {side.operator for side in (left, right) if isinstance(side, Value)}
    if operators == {"/", "-"}:
        raise scanner.error("a ratio cannot be compared with a difference; make two claims", at)
    return Comparison(left, relation, right)


def _relation(scanner: Scanner, left: Value[Draft] | float, tie: str) -> Literal["<", ">"]:
    other = scanner.sees(_OTHER)
    if other:
        instead = OTHER_RELATIONS[_SPELLED.get(other, other)].format(tie=tie)
        raise scanner.error(f"claims have no relation {other}; {instead}")
    relation = scanner.takes("<") or scanner.takes(">")
    if not relation:
        draft = left.terms[-1] if isinstance(left, Value) else None
        meant = scanner.meant(draft.at, draft.label) if draft and draft.metric is None else ""
        raise scanner.error(
            f"expected {RELATIONS}, got {scanner.here}" + (f"; did you mean the label '{meant}'?" if meant else "")
        )
    return cast(Literal["<", ">"], relation)


def _interval(scanner: Scanner, number: Callable[[Scanner], float]) -> tuple[float, float]:
    scanner.expects("[", "an interval like [0.1, 0.2]")
    at, low = scanner.at, number(scanner)
    scanner.expects(",", "a comma and the upper end, like [0.1, 0.2]")
    high = number(scanner)
    scanner.expects("]", "] at the end of the interval")
    if low >= high:
        raise scanner.error(f"an interval begins with its lower end, got [{low:g}, {high:g}]", at)
    return low, high


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
    first = term_of(scanner)
    operator = scanner.takes("/") or scanner.takes("-")
    if not operator:
        return Value((first,))
    if scanner.sees(NUMBER) and not scanner.longest():
        raise scanner.error(f"expected a label after {operator}, got {scanner.here}; numbers stand alone on their side")
    return Value((first, term_of(scanner)), cast(Literal["/", "-"], operator))
