"""The Python file that ``winit export`` writes gives the same bits as winit, for every scheme and kind of recipe."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from zoo import CASES, FALLBACK, IDS, Attentive, Zoo, recipe_of, use_of

from winit_cli.errors import ConfigError, UsageError
from winit_cli.export.python_file import code
from winit_cli.schemes import SCHEMES
from winit_cli.schemes.apply import initialize
from winit_cli.schemes.recipe import Recipe, Rule, Use

NORMAL = use_of("normal", std=0.02)
RULES = (
    Rule(use_of("zeros"), params="tall.*"),
    Rule(use_of("constant", val=0.1), params="lstm.bias_hh_l[01]"),
    Rule(use_of("constant", val=0.2), params="wide.bias"),
    Rule(use_of("normal", std=0.1), params="layer.weight"),
    Rule(use_of("orthogonal", gain=2**0.5), layers="recurrent", params="*weight_hh*"),
    Rule(use_of("pytorch_default"), layers="conv"),
)
RECIPES = {
    "rules, others": Recipe("rules", RULES, others=use_of("xavier_uniform"), fallback=NORMAL),
    "rules, default others": Recipe("rules", RULES[:5], others=use_of("pytorch_default"), fallback=NORMAL),
    "rules, others as built": Recipe("rules", RULES[4:], others=Use("as_built")),
    "a rule for everything": Recipe("rules", (Rule(NORMAL, params="*"),)),
    "default biases": Recipe("kaiming_normal", others=use_of("kaiming_normal"), bias=use_of("pytorch_default")),
    "random biases": Recipe("eye", others=use_of("eye"), bias=use_of("normal", std=0.1), fallback=NORMAL),
    "biases that need the fallback": Recipe(
        "lecun_uniform", others=use_of("lecun_uniform"), bias=use_of("orthogonal"), fallback=NORMAL
    ),
    "default as fallback": Recipe("dirac", others=use_of("dirac"), fallback=use_of("pytorch_default")),
    "as built but for biases": Recipe("as_built", others=Use("as_built"), bias=use_of("uniform", a=-0.1, b=0.1)),
    "default but for biases": Recipe("pytorch_default", others=use_of("pytorch_default"), bias=use_of("ones")),
    "torch's fans": Recipe(
        "rules",
        (Rule(Use("orthogonal", {"gain": 1.0, "fan": "torch"}), layers="recurrent"),),
        others=Use("xavier_normal", {"gain": 1.0, "fan": "torch"}),
        bias=use_of("normal", std=0.1),
    ),
    "others for unknown layers": Recipe(
        "sparse", (Rule(use_of("sparse", sparsity=0.5), layers="any"),), others=NORMAL, fallback=FALLBACK
    ),
}


# schemes that are more than one call of torch, which the file does not hold
BEYOND_TORCH = ("variance_scaling", "trunc_normal_tf", "keras_default", "random_walk", "edge_of_chaos", "siren")
BEYOND_TORCH += (
    "delta_orthogonal",
    "zero",
    "looks_linear",
    "forget_bias",
    "chrono",
    "identity_recurrent",
    "bias_prior",
    "mup",
)
WRITTEN = [(name, options) for name, options in CASES if name not in ("as_built", *BEYOND_TORCH)]


class Own(nn.Module):
    """A layer that winit does not know, which draws through a temporary as well as in place."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.scale = nn.Parameter(torch.empty(3, 4)), nn.Parameter(torch.empty(4, 4))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.table)
        with torch.no_grad():
            self.scale.copy_(torch.rand(4, 4))


@pytest.fixture(scope="module")
def modules() -> dict[str, nn.Module]:
    """Modules to fill, as their constructors make them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return {"zoo": Zoo(), "attentive": Attentive(), "own": nn.Sequential(Own(), nn.Linear(4, 4))}


def functions_of(recipe: Recipe) -> dict[str, Any]:
    """What the written file defines."""
    names: dict[str, Any] = {"__name__": "init_it"}
    exec(compile(code(recipe, "What it is.\n\nMore.\n"), "init_it.py", "exec"), names)
    return names


def same_bits(module: nn.Module, recipe: Recipe, init_weights: Callable[[nn.Module, int], None]) -> None:
    """Both fill copies of a module alike, or both refuse."""
    ours, theirs = copy.deepcopy(module), copy.deepcopy(module)
    before = torch.get_rng_state()
    try:
        initialize(ours, recipe, 7)
    except ConfigError as error:
        if any("wins no parameter" in fault.message for fault in error.faults):
            return  # which the file leaves alone: for another module a rule may well win none
        with pytest.raises(ValueError, match=r"nothing fills|can be filled by none|Only tensors with"):
            init_weights(theirs, 7)
        return
    init_weights(theirs, 7)
    assert torch.equal(before, torch.get_rng_state())
    wanted = ours.state_dict()
    for name, value in theirs.state_dict().items():
        assert value.numpy().tobytes() == wanted[name].numpy().tobytes(), name
    assert [type(one) for one in ours.modules()] == [type(one) for one in theirs.modules()]


@pytest.mark.parametrize(("name", "options"), WRITTEN, ids=[IDS[CASES.index(case)] for case in WRITTEN])
def test_the_file_of_a_scheme_gives_the_same_bits(
    name: str, options: dict[str, Any], modules: dict[str, nn.Module]
) -> None:
    for recipe in (recipe_of(name, **options), Recipe(name, others=use_of(name, **options))):
        init_weights = functions_of(recipe)["init_weights"]
        for module in modules.values():
            same_bits(module, recipe, init_weights)


@pytest.mark.parametrize("name", RECIPES)
def test_the_file_of_a_recipe_gives_the_same_bits(name: str, modules: dict[str, nn.Module]) -> None:
    init_weights = functions_of(RECIPES[name])["init_weights"]
    for module in modules.values():
        same_bits(module, RECIPES[name], init_weights)


def test_rules_of_the_recipes_are_compared_and_not_refused(modules: dict[str, nn.Module]) -> None:
    for recipe in RECIPES.values():
        initialize(copy.deepcopy(modules["zoo"]), recipe, 0)


def test_the_file_holds_only_what_the_recipe_needs() -> None:
    simple, sparse = code(recipe_of("normal"), "A."), code(recipe_of("sparse", sparsity=0.5), "A.")
    default = code(Recipe("pytorch_default", others=use_of("pytorch_default")), "A.")
    for word in ("DrawFrom", "_fitting", "fnmatch", "NonDynamicallyQuantizableLinear"):
        assert word not in simple
    assert "DrawFrom" in sparse and "_fitting" in sparse and "DrawFrom" in default
    assert len(simple.splitlines()) < 200 and "winit" not in simple


def test_the_files_are_formatted(tmp_path: Path) -> None:
    pytest.importorskip("ruff")
    recipes = [*RECIPES.values(), *(recipe_of(name, **options) for name, options in WRITTEN)]
    for number, recipe in enumerate(recipes):
        (tmp_path / f"init_{number}.py").write_text(code(recipe, "What it is.\n\nMore.\n"))
    settings = ["--config", str(Path(__file__).parent.parent / "pyproject.toml"), str(tmp_path)]
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command, *settings], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_plug_ins_scheme_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEMES, "normal", replace(SCHEMES["normal"], source="0" * 64))
    with pytest.raises(UsageError, match=r"normal is no function of torch.*use --to safetensors"):
        code(recipe_of("normal"), "A.")


@pytest.mark.parametrize("name", BEYOND_TORCH)
def test_schemes_of_more_than_one_call_are_refused(name: str) -> None:
    options = next(options for case, options in CASES if case == name)
    with pytest.raises(UsageError, match=rf"{name} is no function of torch.*use --to safetensors"):
        code(recipe_of(name, **options), "A.")


def test_rules_by_place_are_refused() -> None:
    with pytest.raises(UsageError, match=r"layers: head depends on the other layers.*params: in its place"):
        code(Recipe("rules", (Rule(NORMAL, layers="head"),), others=NORMAL), "A.")
