"""Histograms of weights, signals, gradients and singular values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from commands import runs, winit, write
from small import plan_of
from torch import nn

from winit_cli.probe.histograms import bins
from winit_cli.probe.layers import Layer
from winit_cli.probe.trials import HISTOGRAM_COLUMNS, probe_plan

LAYER = Layer("a", nn.Linear(2, 2), 1)


def test_values_are_counted_in_bins_of_equal_width() -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0)).round(decimals=2)
    found = list(bins(LAYER, "weight", [values[:300], values[300:].reshape(70, 10)]))
    assert len(found) == 40 and {one[:3] for one in found} == {("a", 1, "weight")}
    numbers = values.double().numpy()
    for one in found[:-1]:
        assert one.count == ((numbers >= one.low) & (numbers < one.high)).sum()
    assert found[-1].count == (numbers >= found[-1].low).sum()
    assert (found[0].low, found[-1].high) == (numbers.min(), numbers.max())
    assert [one.high for one in found[:-1]] == [one.low for one in found[1:]]
    assert np.diff([one.low for one in found]) == pytest.approx(np.ptp(numbers) / 40)


def test_equal_values_and_none() -> None:
    assert [one[3:] for one in bins(LAYER, "bias", [torch.full((7,), 0.1)])] == [(*[float(np.float32(0.1))] * 2, 7)]
    assert list(bins(LAYER, "bias", [torch.full((7,), torch.nan)])) == []
    finite = list(bins(LAYER, "bias", [torch.tensor([torch.inf, 1.0, 2.0, -torch.inf])]))
    assert (finite[0].low, finite[-1].high, sum(one.count for one in finite)) == (1, 2, 2)


def test_what_is_counted() -> None:
    probed = probe_plan(plan_of("schemes=[kaiming_normal, zeros]"))  # five features, two layers of 6, three classes
    rows = list(probed.histogram_rows())
    assert {row[:2] for row in rows} == {("kaiming_normal", 0), ("zeros", 0)}
    counts: dict[tuple[str, str], int] = {}
    for label, _, layer, _, quantity, _, _, count in rows:
        if label == "kaiming_normal":
            counts[layer, quantity] = counts.get((layer, quantity), 0) + count
    examples = 48  # whole batches of 8 in 50 examples
    for layer, inputs, units in (("layers.0", 5, 6), ("layers.1", 6, 6), ("head", 6, 3)):
        assert counts.pop((layer, "weight")) == counts.pop((layer, "gradient")) == inputs * units
        assert counts.pop((layer, "bias")) == units
        assert counts.pop((layer, "pre_activation")) == examples * units
    assert counts == {
        ("layers.0", "activation"): examples * 6,
        ("layers.1", "activation"): examples * 6,
        ("head", "jacobian_singular_value"): 8 * 3,
    }
    flat = [row for row in rows if row[0] == "zeros" and row[4] == "weight"]
    assert [row[5:] for row in flat] == [(0.0, 0.0, 30), (0.0, 0.0, 36), (0.0, 0.0, 18)]
    assert list(probe_plan(plan_of("schemes=[kaiming_normal, zeros]")).histogram_rows()) == rows
    assert len(HISTOGRAM_COLUMNS) == len(rows[0])


def test_infinite_numbers_are_written_as_inf_and_those_that_are_none_as_blanks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "c.yaml", schemes=[{"scheme": "constant", "val": 0.1}, "zeros"], seeds=1)
    assert winit("probe", "c.yaml").exit_code == 0
    lines = (runs()[0] / "probe.csv").read_text().splitlines()
    assert [line.rpartition(",")[2] for line in lines if "jacobian_condition" in line] == ["inf", ""]
