"""Walk through the text of a claim: labels, words, numbers, and what is said where something else stands."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence

from winit_cli.claims.metrics import METRICS, OUTCOMES
from winit_cli.errors import brief, known

LONGEST_LABEL = 200
SHOWN = 12  # labels in a message
WORD = re.compile(r"[A-Za-z_]\w*")
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.%@=])", re.ASCII)
ELLIPSIS = re.compile(r"…|\.\.\.")
_LABEL_ENDS = re.compile(r"$|[\s<>/\[\])'…≤≥-]|\.\.\.")
_KEYWORDS = "|".join(["in", "is", *METRICS, *OUTCOMES])
_PHRASE = re.compile(rf"(.*?)\s*(?:$|[<>/\[\])'…≤≥]|\.\.\.|\s-\s|\b(?<!\S)(?:{_KEYWORDS})\b)", re.DOTALL)


class ClaimError(ValueError):
    """What is wrong with the text of a claim, and the place of the character (from 0) where."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(f"at character {at + 1}: {message}")


class Scanner:
    """A place in the text of a claim about some labels; spaces are skipped before anything is read."""

    def __init__(self, text: str, labels: Sequence[str]) -> None:
        self.text = text
        self.labels = labels
        self._known = frozenset(labels)
        self._at = 0

    @property
    def at(self) -> int:
        """The place of the next character that is no space."""
        while self.text[self._at : self._at + 1].isspace():
            self._at += 1
        return self._at

    def sees(self, pattern: re.Pattern[str] | str) -> str:
        """What stands here if it fits, else an empty text."""
        if isinstance(pattern, str):
            return pattern if self.text.startswith(pattern, self.at) else ""
        found = pattern.match(self.text, self.at)
        return found[0] if found else ""

    def takes(self, pattern: re.Pattern[str] | str) -> str:
        """The same, and go behind it."""
        found = self.sees(pattern)
        self._at += len(found)
        return found

    def expects(self, pattern: re.Pattern[str] | str, what: str) -> str:
        """The same, where nothing else may stand."""
        found = self.takes(pattern)
        if not found:
            raise self.error(f"expected {what}, got {self.here}")
        return found

    def number(self) -> float:
        """A number."""
        at, text = self.at, self.expects(NUMBER, "a number")
        if not math.isfinite(float(text)):
            raise self.error(f"{brief(text)} is too large a number", at)
        return float(text)

    def label(self) -> str:
        """The longest label that stands here."""
        if self.sees("'"):
            return self._quoted()
        found = self.longest()
        if not found:
            raise self._no_label()
        self._at += len(found)
        return found

    def longest(self) -> str:
        """The longest label that stands here, without going behind it; an empty text if there is none."""
        return self._longest(self._known)

    def meant(self, start: int, label: str) -> str:
        """The label, longer than the one taken at ``start``, that the text there nearly is, if any."""
        longer = [name for name in self.labels if len(name) > len(label)]
        near = difflib.get_close_matches(_phrase(self.text[start:])[:100], longer, n=1, cutoff=0.8)
        return near[0] if near else ""

    def error(self, message: str, at: int | None = None) -> ClaimError:
        """A fault at a place, here if not said."""
        return ClaimError(self.at if at is None else at, message)

    @property
    def here(self) -> str:
        """What stands here, for messages."""
        rest = self.text[self.at :]
        return f"'{brief(rest, 30)}'" if rest else "the end"

    def no_such(self, label: str, at: int) -> ClaimError:
        """A fault of an unknown label."""
        there = [name for name in self.labels if name.startswith(f"{label}@")]
        if there:
            return self.error(f"'{brief(label)}' alone is no label; write one of {_listed(there)}", at)
        more = len(self.labels) - SHOWN
        names = [*self.labels[:SHOWN], *([f"… {more} more"] if more > 0 else [])]
        return self.error(f"no label '{brief(label)}'; {known(label, names, self.labels[SHOWN:])}", at)

    def _longest(self, names: frozenset[str]) -> str:
        longest = min(len(self.text) - self.at, LONGEST_LABEL)
        for length in range(longest, 0, -1):
            found = self.text[self.at : self.at + length]
            if found in names and _LABEL_ENDS.match(self.text, self.at + length):
                return found
        return ""

    def _quoted(self) -> str:
        at = self.at
        end = self.text.find("'", at + 1)
        if end < 0:
            raise self.error("the quote does not end; put another ' behind the label")
        label = self.text[at + 1 : end]
        if label not in self._known:
            raise self.no_such(label, at)
        self._at = end + 1
        return label

    def _no_label(self) -> ClaimError:
        bases = frozenset(label[:i] for label in self.labels for i, letter in enumerate(label) if letter == "@")
        name = self._longest(bases) or _phrase(self.text[self.at :])
        if not name[:1].isalpha() and name not in bases:
            return self.error(f"expected a label or a number, got {self.here}; known: {_listed(self.labels)}")
        return self.no_such(name, self.at)


def _phrase(text: str) -> str:
    """The words up to where no label can go on."""
    found = _PHRASE.match(text)
    return found[1].strip() if found else ""


def _listed(labels: Sequence[str]) -> str:
    more = len(labels) - SHOWN
    return ", ".join(labels[:SHOWN]) + (f" and {more} more" if more > 0 else "")
