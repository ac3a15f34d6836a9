"""The coordinate check: exponents that theory knows, and the training of the engine."""

from __future__ import annotations

import pytest
import torch
from pandas import DataFrame
from small import plan_of
from torch import Tensor, nn

from winit_cli.claims.metrics import WIDTH_STEPS
from winit_cli.cli.probe_coordinate import is_stable, sentence
from winit_cli.data.dataset import Dataset
from winit_cli.engine import serial
from winit_cli.engine.initial import Initial
from winit_cli.plan import Trial
from winit_cli.probe import coordinate
from winit_cli.probe.coordinate import COORDINATE_COLUMNS, check_spot
from winit_cli.probe.grid import Grid, spots
from winit_cli.probe.trials import probe_plan
from winit_cli.stats import width_slopes

SMALL_STEPS = ("model={name: mlp, depth: 2, bias: false, activation: linear}", "train.lr=1e-6", "train.batch_size=16")


def rows(*settings: str, widths: tuple[int, ...] = (64, 128, 256), seeds: int = 1) -> DataFrame:
    found = [row for spot in spots(plan_of(*settings), Grid(widths=widths), seeds) for row in check_spot(spot)]
    return DataFrame(found, columns=list(COORDINATE_COLUMNS))


def test_every_layer_at_every_step() -> None:
    found = rows(widths=(4, 8), seeds=2)
    assert len(found) == 2 * 2 * (WIDTH_STEPS + 1) * 3
    first = found[(found["width"] == 8) & (found["seed"] == 1)]
    assert list(first["step"].unique()) == list(range(WIDTH_STEPS + 1))
    assert list(first["layer"][:3]) == ["layers.0", "layers.1", "head"]
    assert (found["value"] > 0).all()


def test_sgd_in_standard_parametrization_has_the_exponents_of_theory() -> None:
    """With weights of variance 1 / fan_in gradients of pre-activations are of size 1 / sqrt(n): in small steps the
    first layer, whose input has a fixed size, moves by n^-1/2, hidden ones by n^1/2 and outputs by n (Yang & Hu 2021,
    arXiv:2011.14522)."""
    found = width_slopes(rows("schemes=[lecun_normal]", *SMALL_STEPS, widths=(128, 512, 2048), seeds=2))
    slopes = {(row.step, row.layer): row.slope for row in found.itertuples()}
    expected = {"layers.0": -0.5, "layers.1": 0.5, "head": 1.0}
    for layer, exponent in expected.items():
        assert slopes[WIDTH_STEPS, layer] == pytest.approx(exponent, abs=0.15), layer
        assert slopes[0, layer] == pytest.approx(0, abs=0.15), layer


def test_adam_moves_first_layers_alike_at_every_width() -> None:
    found = width_slopes(rows("schemes=[lecun_normal]", *SMALL_STEPS, "train.optimizer=adam", "train.lr=1e-6"))
    slopes = {row.layer: row.slope for row in found[found["step"] == 1].itertuples()}
    assert slopes["layers.0"] == pytest.approx(0, abs=0.05)
    assert slopes["layers.1"] == pytest.approx(1, abs=0.2)  # n inputs whose signs agree


def test_mup_moves_all_layers_alike_at_every_width() -> None:
    """Where kaiming_normal needs another learning rate at every width (table 3 of Yang et al. 2022)."""
    for optimizer in ("sgd", "adam"):
        settings = ("schemes=[{scheme: mup, base_width: 64}]", *SMALL_STEPS, f"train.optimizer={optimizer}")
        found = width_slopes(rows(*settings, widths=(128, 512, 2048), seeds=2))
        last = {row.layer: row.slope for row in found[found["step"] == WIDTH_STEPS].itertuples()}
        assert last == {layer: pytest.approx(0, abs=0.15) for layer in ("layers.0", "layers.1", "head")}, optimizer


def test_the_slopes_of_one_seed_are_among_what_is_probed() -> None:
    """With ``measure.widths``; they are those of the networks of the coordinate check."""
    settings = ("schemes=[lecun_normal]", *SMALL_STEPS, "seeds=2")
    probed = probe_plan(plan_of(*settings, "measure.widths=[8, 16, 32]")).measured["lecun_normal"]
    check = rows(*settings, widths=(8, 16, 32), seeds=2)
    for seed, found in probed.items():
        slopes = width_slopes(check[check["seed"] == seed])
        for row in slopes[slopes["step"] > 0].itertuples():
            assert found.value(row.depth, f"width_slope_{row.step}") == row.slope
    assert not any(
        "width_slope" in row.metric for row in probe_plan(plan_of(*settings)).measured["lecun_normal"][0].rows
    )


def test_it_trains_as_the_engine_does(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of("train.steps=5", "train.momentum=0.9", "train.warmup=2", "train.clip_norm=0.5", "engine=serial")
    trained: list[nn.Module] = []

    def keeping(trial: Trial) -> Initial:
        made = before(trial)
        trained.append(made.model)
        return made

    before = serial.initialized
    monkeypatch.setattr(serial, "initialized", keeping)
    monkeypatch.setattr(coordinate, "initialized", keeping)
    data: Dataset = plan.settings[0].dataset
    list(serial.train_trial(plan.trials[0], data))
    (spot,) = spots(plan, Grid(), 1)
    list(check_spot(spot))
    engine, mine = (list(model.parameters()) for model in trained)
    assert all(torch.equal(a, b) for a, b in zip(engine, mine, strict=True))


def test_buffers_and_randomness_are_left_alone() -> None:
    state: Tensor = torch.get_rng_state()
    rows("model={name: mlp, depth: 1, norm: batch}", widths=(4, 8))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("slopes", "stable", "text"),
    [
        ({"a": 0.1, "b": -0.2}, True, "x: stable in width: no change goes faster than that of b, as width^-0.20."),
        (
            {"a": 0.5, "b": 0.0, "c": -0.5},
            False,
            "x: not stable in width: the change of a grows as width^0.50 and that of c shrinks as width^-0.50; a "
            "learning rate found at one width does not fit another.",
        ),
        (
            {"a": float("nan"), "b": -0.001},
            True,
            "x: stable in width: no change goes faster than that of b, as width^0.00; 1 of 2 layers do not change at "
            "all.",
        ),
        ({"a": float("nan")}, None, "x: no layer changes; this network does not learn."),
        (
            {"a": float("inf")},
            False,
            "x: not stable in width: a grows beyond all numbers; lower the learning rate.",
        ),
    ],
)
def test_what_slopes_say(slopes: dict[str, float], stable: bool | None, text: str) -> None:
    assert is_stable(slopes) is stable
    assert sentence("x", slopes) == text
