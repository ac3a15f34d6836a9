"""Every row of SCHEMES: the promised moments, torch's bits, and draws that depend on the parameter's name alone."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import init
from zoo import BY_PLACE, CASES, IDS, NEEDY, Zoo, fill, seeded, use_of

from winit_cli.rng import generator
from winit_cli.schemes.apply import initialize
from winit_cli.schemes.audit import audit, expected, init_hash
from winit_cli.schemes.recipe import Recipe
from winit_cli.schemes.slots import slots

WEIGHTS = ("linear", "conv", "recurrent", "embedding")
FILLED = [(name, options) for name, options in CASES if name != "as_built"]  # which keeps what is there
RANDOM = [
    (name, options) for name, options in FILLED if name not in ("constant", "zeros", "ones", "eye", "dirac", "zero")
]
ANYWHERE = [(name, options) for name, options in RANDOM if name not in (*BY_PLACE, *NEEDY, "delta_orthogonal")]
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


@pytest.mark.parametrize(("name", "options"), ANYWHERE, ids=_ids(ANYWHERE))
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
