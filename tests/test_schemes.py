"""Every row of SCHEMES: the promised moments, torch's bits, and draws that depend on the parameter's name alone."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import init
from zoo import CASES, FALLBACK, IDS, Zoo, fill, recipe_of, seeded, use_of

from winit_cli.errors import ConfigError, UsageError
from winit_cli.rng import generator
from winit_cli.schemes import SCHEMES
from winit_cli.schemes.apply import assign, initialize
from winit_cli.schemes.audit import audit, expected, init_hash
from winit_cli.schemes.recipe import Recipe
from winit_cli.schemes.slots import slots
from winit_cli.tables import find

WEIGHTS = ("linear", "conv", "recurrent", "embedding")
FILLED = [(name, options) for name, options in CASES if name != "as_built"]  # which keeps what is there
RANDOM = [(name, options) for name, options in FILLED if name not in ("constant", "zeros", "ones", "eye", "dirac")]
TORCHS = [(name, options) for name, options in CASES if hasattr(init, f"{name}_")]


def _ids(cases: list[tuple[str, dict[str, Any]]]) -> list[str]:
    return [IDS[CASES.index(case)] for case in cases]


def _torch_call(name: str, options: dict[str, Any], block: Tensor, source: torch.Generator) -> None:
    """The same call with torch's own function, on one block."""
    if name in ("constant", "zeros", "ones", "eye", "dirac"):
        getattr(init, f"{name}_")(block, **options)
    elif name != "sparse":
        getattr(init, f"{name}_")(block, **options, generator=source)
    else:
        block.normal_(0, options.get("std", 0.01), generator=source)
        for column in range(block.shape[1]):
            zeros = torch.randperm(len(block), generator=source)[: math.ceil(options["sparsity"] * len(block))]
            block[zeros, column] = 0


def test_every_filling_function_of_torch_is_in_the_table() -> None:
    functions = {name.rstrip("_") for name in dir(init) if name.endswith("_") and not name.startswith("_")}
    assert functions <= set(SCHEMES)
    assert set(SCHEMES) - functions == {"pytorch_default", "as_built", "lecun_uniform", "lecun_normal"}


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_measured_moments_are_the_promised_ones(name: str, options: dict[str, Any]) -> None:
    for assignment in fill(Zoo(6), name, **options).values():
        slot, promised = assignment.slot, expected(assignment)
        if slot.kind not in WEIGHTS or promised.std is None or promised.mean is None:
            assert slot.kind not in WEIGHTS or name == "as_built"
            continue
        for block in slot.views():
            values = block.detach().double()
            drawn = int((values != 0).sum()) or 1
            mean, std = values.mean().item(), values.std(correction=0).item()
            assert mean == pytest.approx(promised.mean, abs=5 * promised.std / math.sqrt(len(values.flatten())) + 1e-7)
            assert std == pytest.approx(promised.std, rel=5 / math.sqrt(2 * drawn), abs=1e-7), slot.name
            if promised.bound is not None:
                assert values.abs().max() <= promised.bound * (1 + 1e-6), slot.name
            if promised.bound is not None and "uniform" in name and drawn > 100:
                assert values.abs().max() >= promised.bound * (1 - 10 / drawn), slot.name


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_the_audit_agrees_with_the_formula(name: str, options: dict[str, Any]) -> None:
    for record in audit(list(fill(Zoo(6), name, **options).values())):
        if record.expected_std is not None:
            assert record.std == pytest.approx(record.expected_std, rel=0.12, abs=1e-7), record.param
        assert record.min <= record.mean + 1e-6 and record.mean <= record.max + 1e-6
        assert len(record.sha256) == 64


@pytest.mark.parametrize(("name", "options"), TORCHS, ids=_ids(TORCHS))
def test_bits_are_those_of_torchs_own_function(name: str, options: dict[str, Any]) -> None:
    for parameter, assignment in fill(Zoo(), name, seed=11, **options).items():
        slot = assignment.slot
        if assignment.use.scheme != name or slot.kind not in WEIGHTS:
            continue
        source, wanted = generator(11, "init", parameter), torch.full(slot.shape, float("nan"))
        for block in wanted.chunk(slot.blocks):
            _torch_call(name, options, block, source)
        assert torch.equal(slot.parameter, wanted), parameter


def test_torchs_sparse_under_the_global_seed_gives_the_same_mask() -> None:
    model = nn.Linear(8, 6)
    fill(model, "sparse", seed=2, sparsity=0.4)
    with seeded(2, "init", "weight"):
        wanted = init.sparse_(torch.empty(6, 8), 0.4)
    assert torch.equal(model.weight, wanted)
    assert ((model.weight == 0).sum(dim=0) == math.ceil(0.4 * 6)).all()


def test_the_default_is_reset_parameters_under_the_parameters_seed() -> None:
    """Each parameter is what the module draws for it first, so it does not depend on its siblings."""
    model = Zoo()
    initialize(model, Recipe("pytorch_default", others=use_of("pytorch_default")), 5)
    for path, module in model.named_modules():
        for local, parameter in module.named_parameters(recurse=False):
            with seeded(5, "init", f"{path}.{local}"):
                wanted = _reset_alone(module, local)
            assert torch.equal(parameter, wanted), f"{path}.{local}"


def _reset_alone(module: nn.Module, local: str) -> Tensor:
    """What ``reset_parameters`` writes into one parameter if it starts with it."""
    like = getattr(module, local)
    if local in ("weight", "weight_ih_l0"):
        twin = copy.deepcopy(module)
        twin.reset_parameters()  # type: ignore[operator]
        return getattr(twin, local).detach()  # type: ignore[no-any-return]
    if isinstance(module, nn.RNNBase):
        return init.uniform_(torch.empty_like(like), -1 / math.sqrt(11), 1 / math.sqrt(11))
    if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
        fan_in = init._calculate_fan_in_and_fan_out(module.weight)[0]
        return init.uniform_(torch.empty_like(like), -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))
    return torch.zeros_like(like)


@pytest.mark.parametrize(("name", "options"), RANDOM, ids=_ids(RANDOM))
def test_a_draw_depends_on_seed_and_parameter_alone(name: str, options: dict[str, Any]) -> None:
    small, large = nn.Module(), nn.Module()
    small.one = nn.Linear(6, 8)
    large.zero, large.one, large.two = nn.Linear(3, 6), nn.Linear(6, 8), nn.Linear(6, 8)
    fill(small, name, **options)
    fill(large, name, **options)
    assert torch.equal(small.one.weight, large.one.weight)
    assert torch.equal(small.one.bias, large.one.bias)
    assert not torch.equal(large.one.weight, large.two.weight)
    fill(small, name, seed=4, **options)
    assert not torch.equal(small.one.weight, large.one.weight)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_the_global_generator_is_untouched(name: str, options: dict[str, Any]) -> None:
    model = Zoo()
    before = torch.get_rng_state()
    fill(model, name, **options)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("name", "options"), FILLED, ids=_ids(FILLED))
def test_what_was_in_the_parameters_before_does_not_matter(name: str, options: dict[str, Any]) -> None:
    hashes = set()
    for value in (0.0, 7.0):
        model = Zoo()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(value)
        hashes.add(init_hash(audit(list(fill(model, name, **options).values()))))
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("kaiming_normal", {}), ("xavier_normal", {})),
        (("kaiming_normal", {}), ("lecun_normal", {})),
        (("kaiming_normal", {}), ("normal", {"std": 0.01})),
        (("kaiming_uniform", {}), ("xavier_uniform", {})),
        (("kaiming_uniform", {}), ("pytorch_default", {})),
        (("kaiming_uniform", {}), ("uniform", {"a": -0.2, "b": 0.2})),
    ],
)
def test_schemes_of_one_form_share_their_noise(one: Any, other: Any) -> None:
    weights = []
    for name, options in (one, other):
        model = nn.Linear(30, 20)
        fill(model, name, **options)
        weights.append(model.weight.detach().double())
    ratio = weights[0].norm() / weights[1].norm()
    torch.testing.assert_close(weights[0], ratio * weights[1], rtol=1e-4, atol=1e-6)


def test_orthogonality_holds_gate_by_gate_and_group_by_group() -> None:
    gains = set()
    for assignment in fill(Zoo(), "orthogonal", gain=1.5).values():
        if assignment.slot.kind in WEIGHTS:
            for block in assignment.slot.views():
                values = torch.linalg.svdvals(block.detach().double().flatten(1))
                gains.update((values - 1.5).abs().tolist())
    assert max(gains) < 1e-5


def test_blocks_are_gates_and_groups() -> None:
    blocks = {slot.name: (slot.blocks, slot.block_shape) for slot in slots(Zoo())}
    assert blocks["lstm.weight_hh_l1"] == (4, (11, 11))
    assert blocks["gru.weight_ih_l0"] == (3, (11, 7))
    assert blocks["rnn.weight_ih_l0"] == (1, (11, 7))
    assert blocks["grouped.weight"] == (4, (4, 2, 3, 3))
    assert blocks["depthwise.weight"] == (24, (2, 1, 5))
    assert blocks["grouped.bias"][0] == 1


def test_a_projected_lstms_projection_is_one_block() -> None:
    blocks = {slot.name: (slot.blocks, slot.block_shape) for slot in slots(nn.LSTM(5, 8, proj_size=4))}
    assert blocks["weight_hr_l0"] == (1, (4, 8))
    assert blocks["weight_hh_l0"] == (4, (8, 4))


def test_dirac_is_the_identity_of_every_group() -> None:
    model = nn.Conv2d(8, 8, 3, padding=1, groups=4, bias=False)
    fill(model, "dirac")
    x = torch.randn(2, 8, 5, 5, generator=generator("x"))
    assert torch.equal(model(x), x)
    assert torch.equal(model.weight, init.dirac_(torch.empty(8, 2, 3, 3), groups=4))


def test_eye_passes_inputs_through() -> None:
    model = nn.Linear(5, 8, bias=False)
    fill(model, "eye")
    x = torch.randn(2, 5, generator=generator("x"))
    assert torch.equal(model(x)[:, :5], x)


def test_the_lecun_schemes_are_one_over_fan_in() -> None:
    wanted = torch.randn(50, 40, generator=generator(3, "init", "weight")) / math.sqrt(40)
    model = nn.Linear(40, 50)
    fill(model, "lecun_normal")
    torch.testing.assert_close(model.weight.detach(), wanted)


def test_kaimings_gain_is_root_two_whatever_the_layer() -> None:
    records = {r.param: r for r in audit(list(fill(Zoo(), "kaiming_normal").values()))}
    assert records["wide.weight"].gain == pytest.approx(math.sqrt(2))
    assert records["wide.weight"].expected_std == pytest.approx(math.sqrt(2 / 30))
    assert (records["conv.weight"].fan_in, records["conv.weight"].fan_out) == (72, 108)
    assert (records["grouped.weight"].fan_in, records["grouped.weight"].fan_out) == (18, 36)
    assert (records["lstm.weight_hh_l0"].fan_in, records["lstm.weight_hh_l0"].fan_out) == (11, 11)
    assert (records["wide.bias"].fan_in, records["wide.bias"].std, records["wide.bias"].rule) == (None, 0.0, "bias")


@pytest.mark.parametrize("row", SCHEMES.values(), ids=SCHEMES.keys())
def test_names_are_found_by_every_spelling(row: Any) -> None:
    for name in (row.name, *row.aliases):
        for spelled in (name, name.upper(), f"{name}_", name.replace("_", "-")):
            assert find(SCHEMES, spelled, "scheme") is row


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("xavier", "xavier_normal"),
        ("kaiming", "kaiming_normal"),
        ("glorot_uniform", "xavier_uniform"),
        ("glorot_normal", "xavier_normal"),
        ("he_uniform", "kaiming_uniform"),
        ("he_normal", "kaiming_normal"),
        ("kaiming_uniform_", "kaiming_uniform"),
    ],
)
def test_aliases_mean_what_people_mean(alias: str, name: str) -> None:
    assert find(SCHEMES, alias, "scheme").name == name


def test_an_unknown_scheme_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown scheme 'kaimng_normal'; did you mean 'kaiming_normal'"):
        find(SCHEMES, "kaimng_normal", "scheme")


@pytest.mark.parametrize("row", SCHEMES.values(), ids=SCHEMES.keys())
def test_rows_are_complete(row: Any) -> None:
    assert row.summary and row.formula and row.paper and row.torch_call and row.family
    assert row.applies_to


def test_what_a_scheme_can_fill_matches_what_torch_accepts() -> None:
    shapes = [(4,), (4, 4), (4, 4, 3), (4, 4, 3, 3), (4, 4, 3, 3, 3)]
    for name, options in TORCHS:
        for shape in shapes:
            try:
                with seeded("any"):
                    getattr(init, f"{name}_")(torch.empty(shape), **options)
                accepted = True
            except (ValueError, IndexError):
                accepted = False
            assert SCHEMES[name].can_fill(shape) == accepted, (name, shape)


def test_option_defaults_are_torchs() -> None:
    import inspect

    for name, _ in TORCHS:
        signature = inspect.signature(getattr(init, f"{name}_")).parameters
        for option, field in SCHEMES[name].options.model_fields.items():
            default = signature[option].default
            assert field.is_required() if default is inspect.Parameter.empty else field.default == default
        left_out = set(signature) - set(SCHEMES[name].options.model_fields) - {"tensor", "generator"}
        assert left_out == ({"groups"} if name == "dirac" else set())


def test_every_nonlinearity_of_torch_is_allowed() -> None:
    for name in ("linear", "conv1d", "conv_transpose2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert use_of("kaiming_normal", nonlinearity=name).options["nonlinearity"] == name


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
        assert f"'dirac' cannot fill {name}" in text
    assert "conv.weight" not in text
    assert "fallback: eye" in text


def test_a_fallback_that_cannot_fill_either_is_an_error() -> None:
    with pytest.raises(ConfigError, match="choose another fallback"):
        assign(slots(Zoo()), Recipe("eye", others=use_of("eye"), fallback=use_of("sparse", sparsity=0.5)))


def test_norm_layers_keep_their_own_values() -> None:
    for name, options in CASES:
        made = fill(Zoo(), name, **options)
        for layer in ("batch", "layer", "group"):
            weight, bias = made[f"{layer}.weight"], made[f"{layer}.bias"]
            assert weight.rule == bias.rule == "norm layer's own"
            assert torch.all(weight.slot.parameter == 1) and torch.all(bias.slot.parameter == 0)


@pytest.mark.parametrize("name", [n for n, row in SCHEMES.items() if not row.own_biases])
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


def test_impossible_options_are_said() -> None:
    assert SCHEMES["uniform"].check({"a": 1.0, "b": 1.0}) == "a must be below b, got a=1.0, b=1.0"
    assert SCHEMES["trunc_normal"].check({"mean": 9.0, "std": 1.0, "a": -2.0, "b": 2.0}) is not None
    assert SCHEMES["trunc_normal"].check({"mean": 0.0, "std": 1.0, "a": -2.0, "b": 2.0}) is None
