"""Sign changes on a logarithmic scale."""

from __future__ import annotations

import pytest

from winit_cli.theory.roots import first_crossing


@pytest.mark.parametrize("root", [1e-20, 3e-7, 1.0, 2.0, 5.5, 1e11])
def test_from_either_side(root: float) -> None:
    assert first_crossing(lambda q: q / root - 1, 1e-24, 1e12) == pytest.approx(root, rel=1e-12)
    assert first_crossing(lambda q: root / q - 1, 1e12, 1e-24) == pytest.approx(root, rel=1e-12)


def test_the_first_of_two() -> None:
    assert first_crossing(lambda q: (q - 10) * (q - 100), 1, 1e12) == pytest.approx(10)
    assert first_crossing(lambda q: (q - 10) * (q - 100), 1e12, 1) == pytest.approx(100)


def test_none_where_there_is_none_or_only_noise() -> None:
    assert first_crossing(lambda q: 1 + 1 / q, 1, 1e12) is None
    assert first_crossing(lambda q: 1 / q - 1e-14, 1, 1e24) is None
    assert first_crossing(lambda q: q, 1, 1) is None
