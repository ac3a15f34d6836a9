"""muP: initial values and learning rates by the paper's table, and what both engines make of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from small import bytes_of, plan_of, run_of
from test_parity import DOUBLE, TRAINED, check_parity, double, in_double
from test_resume import ENGINES, Stop, break_off
from torch import nn
from torch.nn import functional as F
from zoo import use_of

from winit_cli.engine.batches import batches
from winit_cli.engine.initial import initialized
from winit_cli.engine.serial import train_trial
from winit_cli.models import MODELS, Task, construct
from winit_cli.schemes.apply import initialize
from winit_cli.schemes.assign import rates_of
from winit_cli.schemes.recipe import Recipe
from winit_cli.schemes.slots import slots

__all__ = ["double"]

MUP = "schemes=[{scheme: mup, base_width: 4}, kaiming_normal]"
TASKS = {"mlp": Task((9,), 3), "cnn": Task((2, 8, 8), 3), "lstm": Task((7, 5), 3), "resmlp": Task((9,), 3)}
SIZES: dict[str, Any] = {
    "mlp": lambda n: {"width": n, "depth": 3, "norm": "layer"},
    "cnn": lambda n: {"channels": (n, n, n)},
    "lstm": lambda n: {"hidden": n, "layers": 2},
    "resmlp": lambda n: {"width": n, "depth": 1},
}
# of the paper's table 3, what grows with width n: power of n in the learning rate for sgd and for adam
POWERS = {"input": (1, 0), "hidden": (0, -1), "output": (-1, -1), "vector": (1, 0), "other": (0, 0)}
PARTS = {
    "mlp": {
        "layers.0.weight": "input",
        "layers.1.weight": "hidden",
        "layers.2.bias": "vector",
        "norms.1.weight": "vector",
    },
    "cnn": {"convs.0.weight": "input", "convs.1.weight": "hidden", "convs.2.bias": "vector"},
    "lstm": {
        "rnn.weight_ih_l0": "input",
        "rnn.weight_hh_l0": "hidden",
        "rnn.weight_ih_l1": "hidden",
        "rnn.bias_hh_l1": "vector",
    },
    "resmlp": {"stem.weight": "input", "blocks.0.branch.layers.1.weight": "hidden"},
}
HEAD = {"head.weight": "output", "head.bias": "other"}


def _filled(name: str, width: int, **options: Any) -> tuple[nn.Module, list[Any]]:
    model = construct(MODELS[name], TASKS[name], SIZES[name](width), seed=0)
    use = use_of("mup", **options)
    return model, initialize(model, Recipe("mup", others=use), 0)


@pytest.mark.parametrize("name", TASKS)
def test_learning_rates_follow_the_papers_table(name: str) -> None:
    for place, optimizer in enumerate(("sgd", "adam", "adamw", "rmsprop")):
        rates = {n: rates_of(_filled(name, n, base_width=16)[1], optimizer) for n in (16, 48)}
        assert set(rates[16].values()) == {1.0}
        for param, part in (PARTS[name] | HEAD).items():
            assert rates[48][param] == pytest.approx(3.0 ** POWERS[part][min(place, 1)]), (param, optimizer)


@pytest.mark.parametrize("name", ["mlp", "lstm"])
def test_the_head_shrinks_and_all_else_is_as_usual(name: str) -> None:
    model, assignments = _filled(name, 400, base_width=100)
    for a in assignments:
        values = a.slot.parameter.detach()
        if a.slot.kind in ("bias", "norm"):
            continue
        fan = a.slot.block_shape[1]
        expected = math.sqrt(100) / fan if "head" in a.slot.places else math.sqrt(2 / fan)
        assert float(values.std()) == pytest.approx(expected, rel=0.1), a.slot.name
    assert not any(p.any() for key, p in model.named_parameters() if "bias" in key)


def test_a_tied_or_parametrized_weight_has_the_rate_of_its_slot() -> None:
    model = nn.Sequential(nn.Linear(8, 32), nn.utils.parametrizations.weight_norm(nn.Linear(32, 32)), nn.Linear(32, 32))
    model[2].weight = nn.Parameter(model[0].weight.detach().new_ones(32, 32))
    model.append(nn.Linear(32, 32))
    model[3].weight = model[2].weight
    model.head = nn.Linear(32, 4)
    rates = rates_of(initialize(model, Recipe("mup", others=use_of("mup", base_width=16)), 0), "adam")
    assert set(dict(model.named_parameters(remove_duplicate=False))) <= set(rates)
    assert {rates[f"1.parametrizations.weight.original{i}"] for i in (0, 1)} == {0.5}
    assert rates["2.weight"] == rates["3.weight"] == rates["head.weight"] == 0.5
    assert rates["0.weight"] == 1
    assert len(slots(model)) < len(rates)


def test_widths_of_embeddings_and_single_numbers() -> None:
    """An embedding's width is the length of its vectors, whose input is a single 1; one number has no width."""
    for dimensions in (16, 48):
        model = nn.Sequential(nn.Embedding(5000, dimensions), nn.PReLU(), nn.Linear(dimensions, dimensions))
        model.head = nn.Linear(dimensions, 4)
        assignments = initialize(model, Recipe("mup", others=use_of("mup", base_width=16)), 0)
        rates = rates_of(assignments, "sgd")
        assert rates["0.weight"] == dimensions / 16 and rates["1.weight"] == 1
        assert float(model[0].weight.detach().std()) == pytest.approx(1, rel=0.02)


def test_a_step_is_taken_with_every_parameters_own_rate() -> None:
    plan = plan_of(MUP, "model={name: mlp, width: 12, depth: 2}", "train={lr: 0.1, batch_size: 8, steps: 1}", "seeds=1")
    trial = plan.trials[0]
    initial, data = initialized(trial), plan.settings[0].dataset
    index = next(batches(0, len(data.train.x), 8, 0))
    F.cross_entropy(initial.model(data.train.x[index]), data.train.y[index]).backward()
    assert {3.0, 1.0, 1 / 3} == set(initial.rates.values())
    with torch.no_grad():
        for name, parameter in initial.model.named_parameters():
            parameter -= 0.1 * initial.rates[name] * parameter.grad
        expected = F.cross_entropy(initial.model.eval()(data.test.x), data.test.y)
    assert list(train_trial(trial, data))[-1].test_loss == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("train", TRAINED)
def test_both_engines_train_with_the_same_rates(train: str) -> None:
    """Next to trials without factors and with other learning rates."""
    plan = plan_of("engine=stacked", MUP, "model={name: mlp, width: 12, depth: 2, norm: layer}", TRAINED[train])
    check_parity(in_double(plan), DOUBLE, batched=False)


@pytest.mark.usefixtures("double")
def test_a_stack_of_one_rate_has_factors_too() -> None:
    plan = plan_of(
        "engine=stacked", "schemes=[{scheme: mup, base_width: 4}]", TRAINED["adam"].replace("[0.01, 0.02]", "0.01")
    )
    check_parity(in_double(plan), DOUBLE, batched=False)


@pytest.mark.parametrize("engine", ENGINES)
def test_it_goes_on_from_a_checkpoint(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = (MUP, TRAINED["adam"], "seeds=1", f"engine={engine}", "checkpoint_seconds=1e-9")
    wanted = bytes_of(run_of(tmp_path / "whole", *settings))
    with monkeypatch.context() as patch:
        break_off(patch, "kaiming_normal/0.01/0", Stop(), 2)
        with pytest.raises(Stop):
            run_of(tmp_path / "broken", *settings)
    assert bytes_of(run_of(tmp_path / "broken", *settings)) == wanted
