"""The terminal: tables on stdout, progress and errors on stderr, one JSON document with ``--json``."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from winit_cli.cli.streams import for_people
from winit_cli.jsonable import jsonable
from winit_cli.visible import visible

PIPED_WIDTH = 1000  # rows are not wrapped for a program that reads them
PLAIN = str.maketrans({"±": "+-", "×": "x", "†": "+", "–": "-", "−": "-", "…": "...", "·": "."})


class _Console(Console):
    """A console that shows control characters and leaves it to the caller what a closed pipe means."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Every text that is printed comes through here, cells of tables too."""
        return super().render_str(_encodable(visible(text), self.encoding), **options)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


@contextlib.contextmanager
def prints_aside() -> Iterator[None]:
    """What a user's code prints goes to stderr: stdout is for tables and documents."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


@dataclass(frozen=True)
class Terminal:
    """Where a command writes. ``json`` replaces what it prints on stdout by one document."""

    json: bool = False
    quiet: bool = False
    no_color: bool = False

    @property
    def out(self) -> Console:
        """Standard output."""
        return self._console(stderr=False)

    @property
    def err(self) -> Console:
        """Standard error."""
        return self._console(stderr=True)

    def print(self, *parts: Any) -> None:
        """Print for people on stdout; nothing with ``--json``."""
        if not self.json:
            self.out.print(*parts, highlight=False)

    def line(self, markup: str) -> None:
        """Print one line for people on stdout, however long."""
        if not self.json:
            self.out.print(markup, highlight=False, soft_wrap=True)

    def path(self, path: Path | str, before: str = "", after: str = "") -> None:
        """Print a path for people on stdout, never broken over lines and never read as markup."""
        if not self.json:
            self.out.print(f"{before}{escape(str(path))}{after}", highlight=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """Say something on stderr, unless ``--quiet`` or nobody listens any more."""
        if not self.quiet:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Say something on stderr, also with ``--quiet``, unless nobody listens any more.

        A terminal gets lines that end between words, whatever else reads it whole paragraphs; no word is broken.
        """
        with contextlib.suppress(OSError):
            self.err.print(escape(for_people(text, sys.stderr)), highlight=False, soft_wrap=True)

    def document(self, data: Any) -> None:
        """With ``--json``: the one document on stdout."""
        if self.json:
            text = json.dumps(jsonable(data), indent=2, ensure_ascii=not _is_unicode(sys.stdout.encoding))
            print("".join(map(_json_letter, text)), flush=True)

    def _console(self, *, stderr: bool) -> Console:
        stream = sys.stderr if stderr else sys.stdout
        width = None if stream.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH
        return _Console(stderr=stderr, no_color=self.no_color or None, width=width, emoji=False)


def _is_unicode(encoding: str | None) -> bool:
    return (encoding or "").lower().startswith("utf")


def _encodable(text: str, encoding: str) -> str:
    """The text in letters that the terminal has."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return text


def _json_letter(letter: str) -> str:
    """JSON's escape of a character that would steer the terminal or that cannot be encoded."""
    return letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1]
