"""Schemes for transformers: what each promises of its weights, and what it needs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from pandas import DataFrame
from small import plan_of
from torch import Tensor, nn
from torch.nn import functional as F
from zoo import TRANSFORMER

from winit_cli.api.init import init
from winit_cli.errors import ConfigError
from winit_cli.models import MODELS, Task, construct
from winit_cli.rng import generator

PATCHES, TOKENS = Task((3, 9, 6), 5), Task((7,), 5, vocabulary=19)
POST = {"norm": "post", "skip_scale": "deepnorm"}
NEEDS: dict[str, dict[str, Any]] = {"gpt2": {}, "deepnorm": POST, "tfixup": {"norm": "none"}, "mimetic": {}}


def build(task: Task = PATCHES, **options: Any) -> nn.Module:
    return construct(MODELS["transformer"], task, {"width": 66, "heads": 3, "patch": 3, **options}, seed=0)


def filled(scheme: str, task: Task = PATCHES, **options: Any) -> tuple[nn.Module, DataFrame]:
    model = build(task, **options)
    return model, init(model, scheme, seed=4).set_index("param")


def check_stds(table: DataFrame, wanted: dict[str, float]) -> None:
    """Of the weights whose names end so: what is there, and what the audit expects."""
    for end, std in wanted.items():
        rows = table[table.index.str.endswith(f"{end}.weight")]
        assert len(rows), end
        assert rows["std"].tolist() == pytest.approx([std] * len(rows), rel=0.08), end
        assert rows["expected_std"].tolist() == pytest.approx([std] * len(rows)), end
    assert set(table[table.index.str.endswith("bias") & ~table.index.str.contains("norm")]["std"]) == {0.0}


@pytest.mark.parametrize("depth", [1, 5])
def test_gpt2_scales_the_ends_of_branches_by_their_number(depth: int) -> None:
    table = filled("gpt2", TOKENS, depth=depth)[1]
    inner = dict.fromkeys(("stem", "positions", "query", "key", "value", "mlp.branch.layers.0", "head"), 0.02)
    ends = dict.fromkeys(("attention.branch.out", "mlp.branch.layers.1"), 0.02 / math.sqrt(2 * depth))
    check_stds(table, inner | ends)


@pytest.mark.parametrize("depth", [1, 6])
def test_deepnorm_scales_what_is_given_on(depth: int) -> None:
    table, beta = filled("deepnorm", TOKENS, depth=depth, **POST)[1], (8 * depth) ** -0.25
    square, tall = 66**-0.5, math.sqrt(2 / (5 * 66))
    looking = dict.fromkeys(("query", "key", "stem", "positions"), square)
    given = dict.fromkeys(("value", "attention.branch.out"), beta * square)
    mlps = dict.fromkeys(("mlp.branch.layers.0", "mlp.branch.layers.1"), beta * tall)
    check_stds(table, looking | given | mlps)


@pytest.mark.parametrize(("depth", "task"), [(1, PATCHES), (6, PATCHES), (6, TOKENS)])
def test_tfixup_scales_branches_and_embeddings(depth: int, task: Task) -> None:
    table, factor = filled("tfixup", task, depth=depth, norm="none")[1], 0.67 * depth**-0.25
    square, tall, embedded = 66**-0.5, math.sqrt(2 / (5 * 66)), (9 * depth) ** -0.25
    stem = square if task is TOKENS else math.sqrt(2 / (66 + 27))
    inner = {"query": square, "key": square, "stem": stem * embedded, "positions": square * embedded}
    given = dict.fromkeys(("value", "attention.branch.out"), factor * square)
    mlps = dict.fromkeys(("mlp.branch.layers.0", "mlp.branch.layers.1"), factor * tall)
    check_stds(table, inner | given | mlps)


class Deep(nn.TransformerEncoderLayer):
    """Torch's layer, with what DeepNorm has around a branch."""

    skip_scale = 6**0.25  # of three layers

    def forward(self, src: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        x = self.norm1(self.skip_scale * src + self._sa_block(src, None, None))
        return self.norm2(self.skip_scale * x + self._ff_block(x))


@pytest.mark.parametrize(
    ("scheme", "layer"), [("gpt2", nn.TransformerEncoderLayer), ("deepnorm", Deep), ("tfixup", Deep)]
)
def test_torchs_packed_projections_are_told_apart(scheme: str, layer: Any) -> None:
    model = nn.TransformerEncoder(layer(60, 3, 90, batch_first=True), 3, enable_nested_tensor=False)
    table, weights = init(model, scheme).set_index("param"), dict(model.named_parameters())
    of_value = {"gpt2": 1.0, "deepnorm": 24**-0.25, "tfixup": 0.67 * 3**-0.25}[scheme]
    whole = 0.02 if scheme == "gpt2" else 60**-0.5
    for name in ("layers.0.self_attn.in_proj_weight", "layers.2.self_attn.in_proj_weight"):
        parts = [part.std().item() / whole for part in weights[name].chunk(3)]
        assert parts == pytest.approx([1.0, 1.0, of_value], rel=0.05)
        assert table.loc[name]["std"] == pytest.approx(table.loc[name]["expected_std"], rel=0.03)
    ends = {"gpt2": 1 / math.sqrt(6)}.get(scheme, of_value)
    assert table.loc["layers.1.self_attn.out_proj.weight"]["std"] == pytest.approx(ends * whole, rel=0.05)


def heads_of(weight: Tensor) -> Tensor:
    """(heads, K, W) in double precision."""
    return weight.detach().double().unflatten(0, (3, -1))


def test_mimetic_queries_are_like_their_keys() -> None:
    """Per head the product is of rank K, half of it in each factor, and as near to alpha Z + beta I as such a matrix
    can be: 0.7 of the identity at full rank, less at a third of it."""
    attention = filled("mimetic", depth=2)[0].layers[1].attention.branch
    for query, key in zip(heads_of(attention.query.weight), heads_of(attention.key.weight), strict=True):
        torch.testing.assert_close(query @ query.T, key @ key.T, rtol=1e-4, atol=1e-5)
        halves = query @ query.T
        torch.testing.assert_close(halves, halves.diag().diag(), rtol=0, atol=1e-5)
        product = query.T @ key
        others = product[~torch.eye(66, dtype=torch.bool)]
        assert 0.3 < product.diag().mean() < 0.7 and others.mean().abs() < 0.02
        assert product.diag().mean() > 4 * others.std()
    first, second = heads_of(attention.query.weight)[:2]
    assert not torch.allclose(first, second, atol=0.1)


def test_mimetic_outputs_are_unlike_what_is_read() -> None:
    attention = filled("mimetic", depth=2)[0].layers[0].attention.branch
    product = (attention.value.weight.T @ attention.out.weight.T).detach()
    noise = product + 0.4 * torch.eye(66)
    assert float(noise.std()) == pytest.approx(0.4 / math.sqrt(66), rel=0.05)
    assert float(noise.mean()) == pytest.approx(0, abs=0.01) and float(product.diag().mean()) < -0.35


def test_mimetic_positions_are_waves() -> None:
    model, table = filled("mimetic", Task((40, 4), 3), depth=1)
    waves = model.positions.weight
    assert torch.equal(waves[0, :4], torch.tensor([0.0, 1.0, 0.0, 1.0]))
    torch.testing.assert_close(waves[:, 0], torch.arange(40).sin())
    torch.testing.assert_close(waves[:, 65], (torch.arange(40) / 10_000 ** (64 / 66)).cos())
    assert table.loc["positions.weight"]["std"] == pytest.approx(table.loc["positions.weight"]["expected_std"])


def test_mimetic_pairs_do_not_depend_on_who_else_is_filled() -> None:
    whole, alone = build(depth=1), build(depth=1)
    init(whole, "mimetic", seed=4)
    init(alone, {"rules": [{"params": "*.key.weight", "scheme": "mimetic"}], "others": "zeros"}, seed=4)
    name = "layers.0.attention.branch.key.weight"
    assert torch.equal(whole.get_parameter(name), alone.get_parameter(name))
    strong = build(depth=1)
    init(strong, "mimetic", seed=4, alpha1=0.0, beta1=2.0)
    attention = strong.layers[0].attention.branch
    product = heads_of(attention.query.weight).mT @ heads_of(attention.key.weight)
    torch.testing.assert_close(product @ product, 2 * product, atol=1e-5, rtol=1e-4)  # 2 on K axes, 0 on the others


def changed_by_a_step(scheme: str, depth: int, options: dict[str, Any]) -> float:
    """How much one update of all matrices moves the logits."""
    model = construct(MODELS["transformer"], TOKENS, {"width": 16, "heads": 2, "depth": depth, **options}, seed=0)
    init(model, scheme, seed=1)
    x, y = (torch.randint(n, s, generator=generator("batch", n)) for n, s in ((19, (64, 7)), (5, (64,))))
    before = model(x)
    F.cross_entropy(before, y).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter -= 1e-3 * parameter.grad
        return float((model(x) - before).norm())


@pytest.mark.parametrize(
    ("scheme", "options"),
    [("deepnorm", POST), ("xavier_normal", {"norm": "post"}), ("tfixup", {"norm": "none"})],
)
def test_one_step_changes_the_output_alike_at_any_depth(scheme: str, options: dict[str, Any]) -> None:
    """What DeepNet and T-Fixup are derived for; xavier alone, where both begin, does not."""
    few, many = (changed_by_a_step(scheme, depth, options) for depth in (2, 24))
    if scheme == "xavier_normal":
        assert many > 20 * few
    else:
        assert many == pytest.approx(few, rel=0.4)


@pytest.mark.parametrize(
    ("scheme", "model", "said"),
    [
        ("gpt2", "mlp", "layers in residual branches"),
        ("deepnorm", "transformer", "norm: post and skip_scale: deepnorm"),
        ("deepnorm", "{name: transformer, norm: post, skip_scale: 1.5}", "norm: post and skip_scale: deepnorm"),
        ("tfixup", "resmlp", "attention in residual branches (model: transformer)"),
        ("mimetic", "cnn", "query, key, value and out layers"),
    ],
)
def test_a_scheme_says_what_architecture_it_needs(scheme: str, model: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        _ = plan_of(
            f"schemes=[{scheme}]", f"model={model}", "data={name: digits, train_size: 60, test_size: 30}"
        ).settings
    assert "the model has none" in str(error.value) and said in str(error.value)


def test_mimetic_refuses_packed_projections() -> None:
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(12, 3, 8), 1, enable_nested_tensor=False)
    with pytest.raises(ConfigError, match="query, key, value and out layers as wide as their inputs"):
        init(model, "mimetic")


@pytest.mark.parametrize("scheme", TRANSFORMER)
def test_every_scheme_fills_everything_from_its_seed(scheme: str) -> None:
    tables = [init(build(depth=1, **NEEDS[scheme]), scheme, seed=seed) for seed in (0, 0, 1)]
    assert tables[0].equals(tables[1])
    same = tables[0]["sha256"].to_numpy() == tables[2]["sha256"].to_numpy()
    constant = np.isclose(tables[0]["std"].fillna(0), 0) | tables[0]["param"].eq("positions.weight")
    assert not same[~constant].any()
