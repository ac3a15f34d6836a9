"""Text from outside, made safe to print: characters that would steer a terminal are shown, not sent."""

from __future__ import annotations


def visible(text: str) -> str:
    r"""The text with its control characters, but for line breaks, as escapes: ``\x1b[31m``."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in text)
