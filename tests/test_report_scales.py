"""Axes of the page's charts."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from frames import TWELVE, make_run

from winit_cli.findings import Findings
from winit_cli.plots.logscale import LogScale, finer_ticks
from winit_cli.report import render
from winit_cli.report.scales import linear, logarithmic, with_zeros


def test_finer_ticks_are_digits_and_beyond_a_few_decades_their_powers() -> None:
    assert finer_ticks(0.1, 1) == pytest.approx([digit / 10 for digit in range(1, 11)])
    assert finer_ticks(0.25, 0.45) == pytest.approx([0.3, 0.4])
    assert finer_ticks(1e-12, 1e6) == pytest.approx([10.0**power for power in range(-12, 7)])


def test_logarithmic_axes_have_ticks_without_a_text_too() -> None:
    axis = logarithmic(0.014, 4.6, 244.0, 12.0)
    assert [tick.text for tick in axis.ticks] == ["0.1", "1"]
    assert len(axis.finer) > 15 and all(below > above for below, above in pairwise(axis.finer))
    assert {tick.at for tick in axis.ticks} < set(axis.finer)
    zeros = with_zeros(LogScale.over([0.0, 0.01, 1.0]), 244.0, 12.0)
    assert zeros.finer and max(zeros.finer) < zeros.ticks[0].at == max(tick.at for tick in zeros.ticks)
    assert linear(0, 1, 244.0, 12.0).finer == ()


def test_the_page_draws_them_and_says_what_stuck_means(tmp_path: Path) -> None:
    run = make_run(tmp_path, TWELVE)
    assert 'class="finer"' in render(run)
    assert "Stuck, no better than a constant answer: normal:std=0.001 in 3 of 3, zeros in" in " ".join(
        Findings(run).sentences
    )
