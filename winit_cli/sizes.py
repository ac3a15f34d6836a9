"""Sizes of memory: from what is typed to bytes, and back to words."""

from __future__ import annotations

import re

from winit_cli.errors import UsageError, brief

UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
SIZE = re.compile(rf"(\d+(?:\.\d+)?) ?({'|'.join(UNITS)})", re.ASCII | re.IGNORECASE)
SMALLEST, LARGEST = 2**20, 2**50
MEMORY = 8 * 2**30  # bytes that are taken at once, unless another budget is asked for


def parse_size(text: str, option: str) -> int:
    """Bytes of a size as it is typed.

    Raises:
        UsageError: it is no size, or one that no budget can have.

    >>> parse_size("1.5GiB", "--memory"), parse_size("8GB", "--memory"), parse_size("1048576", "--memory")
    (1610612736, 8000000000, 1048576)
    """
    match = SIZE.fullmatch(text.strip())
    size = float(match[1]) * UNITS[match[2].lower()] if match else 0.0  # of thousands of digits: infinity
    if not SMALLEST <= size <= LARGEST:
        raise UsageError(
            f"{option} {brief(text)}: expected a size like 512MiB, 8GiB, 8GB or a number of bytes, from 1MiB to 1024TiB"
        )
    return int(size)


def size_text(size: int) -> str:
    """A size for people.

    >>> size_text(8 * 2**30), size_text(1000), size_text(3 * 2**29), size_text(10**9), size_text(2500 * 2**30)
    ('8 GiB', '1 MiB', '1.5 GiB', '954 MiB', '2,500 GiB')
    """
    gib = size / 2**30
    if gib >= 1000:
        return f"{gib:,.0f} GiB"
    return f"{gib:.3g} GiB" if gib >= 1 else f"{max(1, round(size / 2**20))} MiB"
