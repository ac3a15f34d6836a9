"""What is said on stderr: wrapped for a person's terminal, whole for a program."""

from __future__ import annotations

import io
import sys

import pytest

from winit_cli.cli.terminal import Terminal

PATH = "/a/path/" + "of-many-letters/" * 5
NOTE = f"9 comparisons with the baseline: no better or worse is possible; the run is in {PATH} and goes on there"


class Screen(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


def said(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> str:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr(sys, "stderr", stream)
    Terminal(no_color=True).note(NOTE)
    return stream.getvalue()


def test_notes_end_their_lines_between_words_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = said(monkeypatch, Screen()).splitlines()
    assert " ".join(line.strip() for line in lines) == NOTE
    assert len(lines) > 2 and PATH in [line.strip() for line in lines], "what is to be copied is whole"
    assert all(len(line) <= 60 for line in lines if PATH not in line)


def test_notes_are_one_line_for_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, io.StringIO()) == f"{NOTE}\n"
