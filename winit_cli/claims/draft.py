"""Read one term of a claim: a label, and a metric with its keys."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from winit_cli.claims.metrics import METRICS, OUTCOMES
from winit_cli.claims.scan import ELLIPSIS, WORD, ClaimError, Scanner
from winit_cli.errors import brief, known

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


def term_of(scanner: Scanner) -> Draft:
    """The term that stands here."""
    start, label = scanner.at, scanner.label()
    if scanner.takes(ELLIPSIS):
        return Draft(label, None, (), start)
    at, word = scanner.at, scanner.sees(WORD)
    if not word or word in ("in", "is", *OUTCOMES):
        return Draft(label, None, keys_of(scanner), start)
    if word not in METRICS:
        raise _no_metric(scanner, word, start, label)
    scanner.takes(word)
    return Draft(label, word, keys_of(scanner), at)


def _no_metric(scanner: Scanner, word: str, start: int, label: str) -> ClaimError:
    words, meant = (*METRICS, *OUTCOMES), scanner.meant(start, label)
    if meant and not difflib.get_close_matches(word, words, n=1, cutoff=0.75):
        return scanner.error(f"no metric '{brief(word)}'; did you mean the label '{meant}'?")
    return scanner.error(f"no metric '{brief(word)}'; {known(word, words)}")


def keys_of(scanner: Scanner) -> tuple[Key, ...]:
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
