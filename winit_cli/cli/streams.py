"""Standard streams that a command can write to until its end, whoever reads them."""

from __future__ import annotations

import io
import os
import shutil
import sys
import textwrap
from typing import Any, TextIO

STDOUT, STDERR = 1, 2


class _Kept(io.FileIO):
    """A stream whose loss cuts no work short: a reader may go away, and stderr may go anywhere. Other refusals of
    stdout, such as a full disk, are raised once, not again as what is left is flushed at exit."""

    is_lost = False

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            is_told = isinstance(error, BrokenPipeError) or self.is_lost or self.fileno() == STDERR
            self.is_lost = True
            if not is_told:
                raise
            return memoryview(data).nbytes


def keep_streams() -> None:
    """Let stdout and stderr outlive their readers (``winit … | head``); those closed from the start lead nowhere."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= STDERR:  # or the next file to be opened would take the place
        pass
    os.close(number)
    sys.stdout, sys.stderr = _kept(STDOUT, sys.stdout), _kept(STDERR, sys.stderr)


def for_people(text: str, stream: TextIO) -> str:
    """The text in lines that end between words where the stream is a terminal, and as it is where it is not."""
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(_wrapped(line, width) for line in text.split("\n"))


def _wrapped(line: str, width: int) -> str:
    """Lines indented like the first; what is longer than a line, such as a path, stays whole."""
    indent = " " * (len(line) - len(line.lstrip(" ")))
    whole: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False, "replace_whitespace": False}
    return textwrap.fill(line, width, subsequent_indent=indent, **whole)


def _kept(number: int, stream: TextIO | None) -> TextIO:
    if stream is None:
        return open(number, "w", encoding="utf-8", closefd=False)
    if stream.isatty():
        return stream
    at_once = getattr(stream, "line_buffering", False) or getattr(stream, "write_through", False)
    buffer = io.BufferedWriter(_Kept(number, "w", closefd=False))
    return io.TextIOWrapper(buffer, encoding=stream.encoding, errors=stream.errors, line_buffering=at_once)
