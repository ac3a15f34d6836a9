"""Scans: the numbers of a probe in every cell, and grids that do not fit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from small import plan_of

from winit_cli.engine.initial import initialized
from winit_cli.errors import ConfigError, UsageError
from winit_cli.plan import Plan
from winit_cli.probe import fits
from winit_cli.probe.fits import check_spots
from winit_cli.probe.grid import Grid, check_grid, spots
from winit_cli.probe.scan import Cell, measure_spot
from winit_cli.probe.trials import probe_plan

SCHEMES = "schemes=[kaiming_normal, zeros, ones, {scheme: normal, std: 0.01}, {scheme: normal, label: far, std: 3}]"
TANH = ("model.activation=tanh", "model.bias=true", "data.features=40", "data.train_size=64")


def cells(plan: Plan, grid: Grid, seeds: int | None = 1) -> Iterator[Cell]:
    check_grid(plan, grid)
    return (measure_spot(spot) for spot in spots(plan, grid, seeds))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_cell_is_what_the_probe_says_of_a_network_of_that_size(activation: str) -> None:
    settings = (SCHEMES, f"model.activation={activation}")
    sizes = [(1, 5), (4, 9)]
    whole = {(d, w): probe_plan(plan_of(*settings, f"model.depth={d}", f"model.width={w}")) for d, w in sizes}
    for cell in cells(plan_of(*settings), Grid(depths=(1, 4), widths=(5, 9)), 2):
        label, depth, width, _ = cell.place
        if (depth, width) not in whole:
            continue
        probed = whole[depth, width]
        found = list(probed.measured[label].values())
        assert cell.verdict == probed.verdicts[label]
        for seed, one in enumerate(found):
            mine = cell.seeds[seed]
            assert mine["pre_mean_square"] == one.value(depth, "pre_mean_square")
            assert mine["correlation"] == pytest.approx(one.value(depth, "correlation"), nan_ok=True, rel=1e-12)
            ends = one.value(1, "grad_norm"), one.value(depth + 1, "grad_norm")
            assert mine["gradient_ratio"] == pytest.approx(ends[0] / ends[1], rel=1e-12)


def test_cells_are_in_the_order_of_labels_then_sizes() -> None:
    places = [cell.place for cell in cells(plan_of("schemes=[zeros, ones]"), Grid(depths=(1, 2), widths=(3, 4)))]
    assert places == [(label, d, w, None) for label in ("zeros", "ones") for d in (1, 2) for w in (3, 4)]
    plan = plan_of("vary.model.activation=[relu, tanh]")
    assert [cell.place[0] for cell in cells(plan, Grid(depths=(1,)))] == [
        "kaiming_normal@activation=relu",
        "kaiming_normal@activation=tanh",
    ]


def test_gaussian_weights_of_sigma_sqrt_2_are_those_of_kaiming() -> None:
    plan = plan_of("model.bias=false")
    (spot,) = spots(plan, Grid(sigma_w=(math.sqrt(2),)), 1)
    drawn, kaiming = (initialized(trial).model.state_dict() for trial in (spot.trials[0], plan.trials[0]))
    for name, values in kaiming.items():
        torch.testing.assert_close(drawn[name], values)


def test_gaussian_biases_and_fans_by_gate() -> None:
    plan = plan_of("model={name: lstm, hidden: 400}", "data={name: adding, length: 3, train_size: 20, test_size: 8}")
    (spot,) = spots(plan, Grid(sigma_w=(3.0,), sigma_b=0.5), 1)
    records = {record.param: record for record in initialized(spot.trials[0]).records}
    assert records["rnn.weight_hh_l0"].expected_std == pytest.approx(3 / 20)
    assert records["rnn.weight_ih_l0"].std == pytest.approx(3 / math.sqrt(2), rel=0.05)
    assert records["rnn.bias_ih_l0"].std == pytest.approx(0.5, rel=0.1)
    assert (spot.depth, spot.width, spot.label) == (1, 400, "gaussian")


def test_theory_stands_beside_what_was_measured() -> None:
    plan = plan_of(*TANH, "model.width=200")
    (cell,) = cells(plan, Grid(depths=(4,), sigma_w=(1.5,), sigma_b=0.2), 2)
    assert cell.median("gradient_ratio") == pytest.approx(cell.expected["expected_gradient_ratio"], rel=0.15)
    assert cell.median("pre_mean_square") == pytest.approx(cell.expected["expected_pre_mean_square"], rel=0.25)
    assert cell.expected["trainable_depth"] == pytest.approx(6 * 14.5426, rel=1e-3)


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        (("model.norm=layer",), True),
        (("schemes=[ones]",), True),
        (("schemes=[{scheme: kaiming_normal, bias: default}]",), False),
    ],
)
def test_theory_is_silent_where_it_does_not_hold(settings: tuple[str, ...], missing: bool) -> None:
    (cell,) = cells(plan_of(*settings), Grid(depths=(3,)))
    assert ("expected_gradient_ratio" in cell.expected) is not missing


def test_rows_are_tidy() -> None:
    (cell,) = cells(plan_of(), Grid(depths=(3,)), 2)
    rows = list(cell.rows())
    assert [row[4:6] for row in rows[:6]] == [
        (seed, name) for seed in (0, 1) for name in ("pre_mean_square", "correlation", "gradient_ratio")
    ]
    assert {row[5] for row in rows[6:]} == {"expected_pre_mean_square", "expected_gradient_ratio", "verdict"}
    assert {row[4] for row in rows[6:]} == {None} and rows[-1][-1] == "healthy"


def test_what_a_model_does_not_have() -> None:
    images = ("data={name: digits, train_size: 40, test_size: 10}", "model={name: cnn, channels: [4]}")
    with pytest.raises(UsageError, match="cnn has no option for its depth, so --depths cannot scan it; models that do"):
        check_grid(plan_of(*images), Grid(depths=(2,)))
    with pytest.raises(UsageError, match=r"varies model\.width itself; scan it without: -s vary=null --widths"):
        check_grid(plan_of("vary.model.width=[3, 4]"), Grid(widths=(2,)))


def test_a_rule_that_does_not_fit_a_size_is_told_with_the_place() -> None:
    plan = plan_of('schemes=[{label: mine, rules: [{params: "layers.1.*", scheme: zeros}], others: ones}]')
    with pytest.raises(ConfigError, match=r"mine at depth 1, width 6: rules\.0 .* wins no parameter"):
        check_spots(list(spots(plan, Grid(depths=(1, 2)), 1)))


def test_grids_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"at depth 2, width 60000 takes about .* GiB, more than 8 GiB"):
        check_spots(list(spots(plan_of(), Grid(widths=(60_000,)), 1)))
    monkeypatch.setattr(fits, "MOST_SPOTS", 3)
    with pytest.raises(UsageError, match="4 networks to measure, expected at most 3; scan fewer values"):
        check_spots(list(spots(plan_of(), Grid(depths=(1, 2), widths=(3, 4)), 1)))


def test_a_network_of_one_s_own_is_scanned_by_its_options(tmp_path: Any) -> None:
    from winit_cli.plugins import plugged

    path = tmp_path / "net.py"
    path.write_text(
        "from torch import nn\n\n\ndef net(in_features, outputs, hidden=8, layers=2):\n"
        "    sizes = [in_features] + [hidden] * layers\n"
        "    body = [m for a, b in zip(sizes, sizes[1:]) for m in (nn.Linear(a, b), nn.ReLU())]\n"
        "    return nn.Sequential(*body, nn.Linear(hidden, outputs))\n"
    )
    with plugged([], f"{path}:net", None):
        plan = plan_of(f"model={path}:net")
        found = list(cells(plan, Grid(depths=(1, 3))))
    assert [(cell.spot.depth, cell.spot.width) for cell in found] == [(1, 8), (3, 8)]
    assert all(cell.expected == {} for cell in found)
