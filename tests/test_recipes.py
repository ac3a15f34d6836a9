"""Recipes: which scheme fills which parameter, and what is done about those it cannot fill."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from zoo import ALONE, CASES, FALLBACK, Zoo, fill, recipe_of, use_of

from winit_cli.errors import ConfigError
from winit_cli.models import MODELS, Task
from winit_cli.schemes import SCHEMES
from winit_cli.schemes.apply import assign, initialize
from winit_cli.schemes.recipe import Recipe, Rule, Use
from winit_cli.schemes.slots import slots


def test_fallback_fills_what_the_scheme_cannot() -> None:
    made = fill(Zoo(), "eye")
    assert made["conv.weight"].use == FALLBACK
    assert made["conv.weight"].rule == "fallback"
    assert made["wide.weight"].use.scheme == "eye"
    assert torch.all(made["conv.weight"].slot.parameter == 0.25)


def test_without_a_fallback_every_parameter_that_cannot_be_filled_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        assign(slots(Zoo()), Recipe("dirac", others=use_of("dirac")))
    text = str(caught.value)
    for name in ("wide.weight (9, 30)", "tall.weight", "lstm.weight_ih_l0", "embedding.weight"):
        assert name in text
    assert text.startswith("'dirac' cannot fill wide.weight (9, 30), ") and text.count("cannot fill") == 1
    assert "conv.weight" not in text
    assert "fallback: kaiming_normal" in text


def test_a_fallback_that_cannot_fill_either_is_an_error() -> None:
    with pytest.raises(ConfigError, match="choose another fallback"):
        assign(slots(Zoo()), Recipe("eye", others=use_of("eye"), fallback=use_of("sparse", sparsity=0.5)))


def test_norm_layers_keep_their_own_values() -> None:
    for name, options in CASES:
        made = fill(Zoo(), name, **options)
        for layer in ("batch", "layer", "group"):
            weight, bias = made[f"{layer}.weight"], made[f"{layer}.bias"]
            speaks_of_them = name == "as_built" or "norm" in SCHEMES[name].also
            assert weight.rule == bias.rule == ("scheme" if speaks_of_them else "norm layer's own")
            assert torch.all(weight.slot.parameter == 1) and torch.all(bias.slot.parameter == 0)


@pytest.mark.parametrize("name", [name for name in ALONE if not SCHEMES[name].own_biases])
def test_biases_are_zero_unless_said_otherwise(name: str) -> None:
    options = {"constant": {"val": 2.0}, "sparse": {"sparsity": 0.1}}.get(name, {})
    for assignment in fill(Zoo(), name, **options).values():
        if assignment.slot.kind == "bias":
            assert torch.all(assignment.slot.parameter == 0)
            assert (assignment.use.scheme, assignment.rule) == ("zeros", "bias")


def test_a_biases_scheme_is_used_for_all_biases() -> None:
    recipe = Recipe("kaiming_normal", others=use_of("kaiming_normal"), bias=use_of("constant", val=0.1))
    made = initialize(Zoo(), recipe, 0)
    biases = [a.slot.parameter for a in made if a.slot.kind == "bias"]
    assert len(biases) == 5 + 2 * 4
    assert all(torch.all(bias == 0.1) for bias in biases)


def test_default_biases_are_those_of_the_default_scheme() -> None:
    one, two = Zoo(), Zoo()
    initialize(one, Recipe("pytorch_default", others=use_of("pytorch_default")), 1)
    initialize(two, Recipe("zeros", others=use_of("zeros"), bias=use_of("pytorch_default")), 1)
    biases = {name: value for name, value in one.named_parameters() if "bias" in name}
    for name, value in two.named_parameters():
        assert torch.equal(value, biases[name]) if name in biases else torch.all((value == 0) | (value == 1))


def test_the_random_biases_of_a_scheme_do_not_depend_on_their_weights() -> None:
    one, two = nn.Linear(6, 6), nn.Linear(6, 6)
    bias = use_of("normal", std=0.1)
    initialize(one, Recipe("orthogonal", others=use_of("orthogonal"), bias=bias), 1)
    initialize(two, Recipe("zeros", others=use_of("zeros"), bias=bias), 1)
    assert torch.equal(one.bias, two.bias)


def test_shared_parameters_are_filled_once() -> None:
    model = nn.Module()
    model.one, model.two = nn.Linear(4, 4), nn.Linear(4, 4)
    model.two.weight = model.one.weight
    names = [a.slot.name for a in initialize(model, recipe_of("kaiming_normal"), 0)]
    assert names == [name for name, _ in model.named_parameters()] == ["one.weight", "one.bias", "two.bias"]
    alone = nn.Module()
    alone.one = nn.Linear(4, 4)
    initialize(alone, recipe_of("kaiming_normal"), 0)
    assert torch.equal(alone.one.weight, model.one.weight)


def test_biases_follow_the_weight_of_their_name_and_its_fallback() -> None:
    rules = (
        Rule(Use("orthogonal", {"gain": 1.0}), params="rnn.weight_hh*"),
        Rule(Use("pytorch_default"), params="rnn.weight_ih*"),
    )
    rnn = MODELS["rnn"].build(Task((4, 3), 2), **MODELS["rnn"].options().model_dump())
    found = {a.slot.name: a.use.scheme for a in assign(slots(rnn), Recipe("rules", rules, Use("zeros")))}
    assert found["rnn.bias_ih_l0"] == "pytorch_default" and found["rnn.bias_hh_l0"] == "zeros"
    cnn = MODELS["cnn"].build(Task((1, 8, 8), 2), **MODELS["cnn"].options().model_dump())
    recipe = Recipe("eye", (), Use("eye"), fallback=Use("pytorch_default"))
    found = {a.slot.name: a.use.scheme for a in assign(slots(cnn), recipe)}
    assert found["convs.0.bias"] == "pytorch_default" and found["head.bias"] == "zeros"
