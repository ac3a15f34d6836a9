"""The code that ``winit explain`` prints does what winit does, bit for bit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from test_explain import LAYERS, explained, layers_of
from torch import Generator, Tensor, nn
from zoo import CASES, IDS, fill, recipe_of, seeded

from winit_cli.explain.layers import layer_of
from winit_cli.explain.parameters import STANDINGS, assignments_of
from winit_cli.rng import DrawFrom, generator
from winit_cli.schemes import SCHEMES
from winit_cli.schemes.apply import assign
from winit_cli.schemes.slots import slots

NO_CODE = ("pytorch_default", "as_built")  # which the layer itself does


def made(layer: str) -> nn.Module:
    """The layer, made as the printed code makes it."""
    module: nn.Module = eval(layer_of(layer).code, {"nn": nn})
    return module


def contents(module: nn.Module) -> dict[str, bytes]:
    return {name: (p.detach() + 0.0).numpy().tobytes() for name, p in module.named_parameters()}  # -0.0 is 0.0


def filled_by_winit(layer: str, name: str, options: dict[str, Any]) -> nn.Module:
    """The layer in the place that winit explain gives it, each parameter from the generator of its own name."""
    module, recipe = made(layer), recipe_of(name, **options)
    place = STANDINGS[assignments_of(recipe, layer_of(layer))[1]]
    for one in assign([replace(slot, **place) for slot in slots(module)], recipe):
        source = generator(3, "init", one.slot.name)
        for block in one.slot.views() if one.use.scheme not in NO_CODE else ():
            with torch.no_grad():
                SCHEMES[one.use.scheme].fill(block, source, **one.use.arguments)
    return module


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_calls_fill_every_layer_as_winit_does(name: str, options: dict[str, Any]) -> None:
    for layer in layers_of(name, **options):
        ours, theirs = filled_by_winit(layer, name, options), made(layer)
        for parameter in explained(name, layer, **options)["parameters"]:
            param, call = parameter["param"], parameter["torch"]
            assert (call is None) is (parameter["scheme"] in NO_CODE), (layer, param)
            if call is not None:
                with seeded(3, "init", param):
                    exec(call, {"nn": nn, "torch": torch, "math": math, "layer": theirs})
                assert contents(theirs)[param] == contents(ours)[param], (layer, param)


@pytest.mark.parametrize("name", [name for name in SCHEMES if hasattr(nn.init, f"{name}_")])
def test_a_function_of_torch_is_called(name: str) -> None:
    (_, options), *_ = [case for case in CASES if case[0] == name]
    for layer in layers_of(name, **options):
        for parameter in explained(name, layer, **options)["parameters"]:
            assert parameter["param"] in parameter["torch"]
            assert f"nn.init.{parameter['scheme']}_(" in parameter["torch"]


@pytest.mark.parametrize("layer", LAYERS)
def test_the_default_is_a_reset(layer: str) -> None:
    ours = made(layer)
    fill(ours, "pytorch_default", seed=3)
    theirs: dict[str, Any] = {}
    code = explained("pytorch_default", layer)["code"]
    exec(code.rpartition("\n")[0], theirs)
    with DrawFrom(_own(theirs["layer"], 3)):
        exec(code.rpartition("\n")[2], theirs)
    assert contents(theirs["layer"]) == contents(ours)


def _own(module: nn.Module, seed: int) -> Callable[[Tensor | None], Generator]:
    """Winit's generator for each parameter."""
    sources = {p.data_ptr(): generator(seed, "init", name) for name, p in module.named_parameters()}
    return lambda filled: sources[filled.data_ptr()] if filled is not None else generator(0)


def test_the_default_is_kaiming_uniform_with_a_of_sqrt_5() -> None:
    bound = explained("pytorch_default", "linear:30x20")["default"]["bias_bound"]
    default, spelled = made("linear:30x20"), made("linear:30x20")
    torch.manual_seed(5)
    default.reset_parameters()  # type: ignore[operator]
    torch.manual_seed(5)
    nn.init.kaiming_uniform_(spelled.weight, a=5**0.5)  # type: ignore[arg-type]
    nn.init.uniform_(spelled.bias, -bound, bound)  # type: ignore[arg-type]
    assert contents(default) == contents(spelled)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_the_whole_code_runs_and_leaves_what_it_fills_in_the_layer(name: str, options: dict[str, Any]) -> None:
    for layer in layers_of(name, **options):
        names: dict[str, Any] = {}
        code = explained(name, layer, **options)["code"]
        assert [line for line in code.splitlines() if line.startswith("#")] == [], "words in place of code"
        with seeded("code"):
            exec(code, names)
        values = torch.cat([p.detach().flatten() for p in names["layer"].parameters()])
        assert torch.isfinite(values).all()
        assert all(p.requires_grad for p in names["layer"].parameters())


def test_packed_weights_are_filled_gate_by_gate() -> None:
    weight = explained("orthogonal", "lstm:7x11")["parameters"][1]
    assert weight["torch"] == (
        "for gate in layer.weight_hh_l0.chunk(4):  # i, f, g, o\n    nn.init.orthogonal_(gate, gain=1.0)"
    )
    assert explained("zeros", "gru:7x11")["parameters"][0]["torch"] == "nn.init.zeros_(layer.weight_ih_l0)"


def test_a_long_call_is_broken() -> None:
    code = explained("kaiming_uniform", "gru:7x11", mode="fan_out")["code"]
    assert max(map(len, code.splitlines())) <= 80
    assert (
        "    nn.init.kaiming_uniform_(\n        gate, a=0.0, mode='fan_out', nonlinearity='leaky_relu'\n    )\n" in code
    )


@pytest.mark.parametrize(
    ("name", "layer", "options"),
    [
        ("kaiming_uniform", "rnn:128x256", {"a": 5**0.5}),
        ("kaiming_uniform", "lstm:128x256", {"a": 5**0.5, "mode": "fan_out"}),
        ("delta_orthogonal", "conv3d:2x6x3", {}),
        ("delta_orthogonal", "conv:16x32x3,groups=4", {"gain": 1.3}),
    ],
)
def test_no_line_of_code_is_wider_than_a_terminal(name: str, layer: str, options: dict[str, Any]) -> None:
    code = explained(name, layer, **options)["code"]
    assert max(map(len, code.splitlines())) <= 80
    exec(code, {})
