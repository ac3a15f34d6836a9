"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest

from winit_cli.findings.numbers import number, p_text, with_interval


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ((0.91234, 0.90634, 0.91834), "0.9123 ± 0.0060"),
        ((0.1, 0.1, 0.1), "0.1 ± 0"),
        ((2.302723, 2.302665, 2.302781), "2.3027 ± 5.8e-05"),
        ((0.5, math.nan, math.nan), "0.5"),
        ((math.nan, math.nan, math.nan), ""),
        ((1234.0, 0.0, 2468.0), "1.2e+03 ± 1.2e+03"),
        ((98765.0, 98753.0, 98777.0), "98765 ± 12"),
        ((0.123456, 0.1234559, 0.1234561), "0.12346 ± 1e-07"),
    ],
)
def test_means_are_rounded_to_their_interval(cells, text):
    assert with_interval(*cells) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (math.nan, ""), (100.0, "100"), (0.123456, "0.1235"), (3, "3"), ("x", "x")]
)
def test_numbers_read_well(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(math.nan, ""), (0.0004, "<0.001"), (0.0123, "0.012"), (0.0496, "0.049"), (0.05, "0.05"), (1.0, "1")],
)
def test_a_p_below_the_level_is_not_rounded_up_to_it(p, text):
    assert p_text(p) == text
