"""What is measured at initialization, against closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from small import plan_of
from torch import Tensor, nn

import winit_cli as winit
from winit_cli.models.row import activation_function
from winit_cli.probe import signal
from winit_cli.probe.jacobian import spectrum
from winit_cli.probe.measure import measure
from winit_cli.probe.measured import METRICS, WIDTH_SLOPE, Measured
from winit_cli.probe.trials import Probed, probe_plan
from winit_cli.probe.units import distinct_units, gradient_rank, unit_rows
from winit_cli.schemes.quotient import gradient_quotient

WIDE = """
name: wide
model: {name: mlp, width: 300, depth: 4, activation: relu, bias: false}
data: {name: gaussian, features: 300, classes: 3, train_size: 128, test_size: 8}
schemes: [lecun_normal, kaiming_normal, pytorch_default, orthogonal]
train: {steps: 1, batch_size: 32}
seeds: 4
"""


def within(values: list[float], expected: float) -> bool:
    """Whether the mean is within three standard errors."""
    return abs(np.mean(values) - expected) < 3 * np.std(values, ddof=1) / len(values) ** 0.5


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def chain(
    depth: int, width: int, scheme: str, seed: int, act: Callable[[], nn.Module] | None, **options: Any
) -> nn.Module:
    pairs = ((nn.Linear(width, width), act()) if act else (nn.Linear(width, width),) for _ in range(depth))
    module = nn.Sequential(*(layer for pair in pairs for layer in pair))
    winit.init(module, scheme, seed=seed, **options)
    return module


@pytest.fixture(scope="module")
def wide() -> Probed:
    return probe_plan(plan_of(text=WIDE))


@pytest.mark.parametrize(
    ("label", "first", "others"),
    [("lecun_normal", 1, 1 / 2), ("kaiming_normal", 2, 1), ("pytorch_default", 1 / 3, 1 / 6)],
)
def test_relu_keeps_half_of_the_mean_square(wide: Probed, label: str, first: float, others: float) -> None:
    measured = wide.measured[label].values()
    assert within([one.value(1, "layer_gain") for one in measured], first)
    for depth in (2, 3, 4):
        assert np.mean([one.value(depth, "layer_gain") for one in measured]) == pytest.approx(others, rel=0.12)
        act, square = (np.mean([one.value(depth, f"{n}_mean_square") for one in measured]) for n in ("act", "pre"))
        assert act == pytest.approx(square / 2, rel=0.12)


def test_rows_are_in_order_and_all_metrics_occur(wide: Probed) -> None:
    rows = list(wide.rows())
    keys = [(wide.labels.index(row[0]), row[1], row[3], METRICS.index(row[4])) for row in rows]
    assert keys == sorted(keys)
    of_time = {metric for metric in METRICS if "gate" in metric or "lag" in metric or "memory" in metric}
    assert {row[4] for row in rows} == set(METRICS) - {"saturated_fraction", WIDTH_SLOPE} - of_time
    first = [row for row in rows if row[:2] == ("lecun_normal", 0)]
    assert [row[2] for row in first if row[4] == "layer_gain"] == [f"layers.{i}" for i in range(4)] + ["head"]
    assert next(row[3] for row in first if row[2] == "head") == 5
    assert [row[2] for row in first if row[4] == "grad_norm"][:2] == ["layers.0", "layers.0.weight"]
    assert len({row[:5] for row in rows}) == len(rows)


def test_the_default_with_biases_settles_at_two_fifths_of_one_over_the_width() -> None:
    plan = plan_of("model.bias=true", "model.depth=8", "schemes=[pytorch_default]", text=WIDE)
    squares = [one.value(8, "pre_mean_square") * 300 for one in probe_plan(plan).measured["pytorch_default"].values()]
    assert np.mean(squares) == pytest.approx(0.4, rel=0.1)


@pytest.mark.parametrize(
    ("scheme", "act", "options", "expected"),
    [
        ("lecun_normal", None, {}, 2 + 3 / 200),  # L, and what width 200 adds
        ("kaiming_normal", nn.ReLU, {}, 4),
        ("orthogonal", nn.ReLU, {"gain": "relu"}, 2),
    ],
)
def test_variance_of_the_squared_singular_values(scheme: str, act: Any, options: Any, expected: float) -> None:
    found = [spectrum(chain(2, 200, scheme, seed, act, **options), randn(3, 200, seed=seed)) for seed in range(8)]
    assert within([one.mean for one in found], 1)
    assert within([one.var for one in found], expected)


def test_orthogonal_layers_have_equal_singular_values() -> None:
    found = spectrum(chain(5, 100, "orthogonal", 0, None), randn(3, 100))
    assert found[:4] == pytest.approx((1, 0, 1, 1), abs=1e-5)
    assert found.values == pytest.approx(np.ones((3, 100)), abs=1e-5)


@pytest.mark.parametrize(("inputs", "outputs"), [(30, 7), (7, 30), (12, 12)])
def test_the_jacobian_is_that_of_torch(inputs: int, outputs: int) -> None:
    module, x = nn.Sequential(nn.Linear(inputs, 9), nn.Tanh(), nn.Linear(9, outputs)), randn(2, inputs)
    each = [torch.linalg.svdvals(torch.func.jacrev(module)(one).detach().double()) ** 2 for one in x]
    values = torch.stack(each)
    full_rank = min(inputs, outputs) < 9
    condition = (values.amax(1) / values.amin(1)).sqrt().mean().item() if full_rank else math.inf
    moments = [values.mean().item(), values.var(1, correction=0).mean().item(), values.amax(1).mean().item()]
    found = spectrum(module, x)
    assert found[:4] == pytest.approx([*moments, condition], rel=1e-4)
    assert found.values.sort().values.numpy() == pytest.approx(values.sort().values.sqrt().numpy(), rel=1e-4, abs=1e-6)


def test_large_jacobians_are_estimated() -> None:
    module, x = nn.Sequential(nn.Linear(700, 650), nn.Tanh(), nn.Linear(650, 600)), randn(2, 700)
    winit.init(module, "xavier_normal", gain=0.5)
    jacobians = [torch.func.jacrev(module)(one).detach().double() for one in x]
    values = torch.stack([torch.linalg.svdvals(jacobian) ** 2 for jacobian in jacobians])
    found = spectrum(module, x)
    assert found.mean == pytest.approx(values.mean().item(), rel=0.02)
    assert found.var == pytest.approx(values.var(1, correction=0).mean().item(), rel=0.06)
    assert found.max == pytest.approx(values.amax(1).mean().item(), rel=0.03)
    assert math.isnan(found.condition) and found.values is None


def test_the_jacobian_of_each_layer_is_that_of_torch() -> None:
    layers = [nn.Linear(9, 7), nn.Tanh(), nn.Linear(7, 7), nn.LayerNorm(7), nn.ReLU(), nn.Linear(7, 3)]
    module, x = nn.Sequential(*layers), randn(5, 9)
    found = winit.probe(module, x).table
    values = found[found["metric"] == "layer_jacobian_sv_mean"].set_index("layer")["value"]
    first, second = layers[0](x[0]), nn.Sequential(*layers[:4])(x[0])
    for name, part, z in (("2", nn.Sequential(*layers[1:4]), first), ("5", nn.Sequential(*layers[4:]), second)):
        singular = torch.linalg.svdvals(torch.func.jacrev(part)(z).detach())
        assert values[name] == pytest.approx(singular.mean().item(), rel=1e-5)
    assert list(values.index) == ["2", "5"]


def test_a_square_layer_of_gaussian_weights_has_eight_thirds_over_pi_on_average() -> None:
    """The mean of the quarter circle law on [0, 2]."""
    found = winit.probe(chain(3, 300, "lecun_normal", 0, None), randn(4, 300)).table
    values = found[found["metric"] == "layer_jacobian_sv_mean"]["value"]
    assert len(values) == 2 and list(values) == pytest.approx([8 / (3 * math.pi)] * 2, rel=0.01)


def test_no_jacobian_of_layers_that_are_large_or_called_again() -> None:
    wide = nn.Sequential(nn.Linear(4, 600), nn.Linear(600, 600), nn.Linear(600, 2))
    again = nn.Linear(4, 4)
    assert _with_jacobians(wide) == ["2"] and _with_jacobians(nn.Sequential(again, again, nn.Linear(4, 2))) == []


def test_no_jacobian_of_layers_where_the_size_of_the_batch_is_fixed() -> None:
    class Fixed(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.reshape(3, 4))

    assert _with_jacobians(Fixed(nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 7), nn.Linear(7, 2))) == []


def _with_jacobians(module: nn.Module) -> list[str]:
    found = winit.probe(module, randn(3, 4)).table
    return list(found.loc[found["metric"] == "layer_jacobian_sv_mean", "layer"])


def test_the_condition_of_jacobians_without_full_rank() -> None:
    narrow = nn.Sequential(nn.Linear(30, 4), nn.Linear(4, 30), nn.Linear(30, 10))
    assert spectrum(narrow, randn(3, 30)).condition == math.inf
    assert math.isnan(spectrum(chain(2, 9, "zeros", 0, nn.Tanh), randn(3, 9)).condition)
    relu = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU())
    winit.init(relu, "eye")
    x = torch.tensor([[1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]])  # nothing depends on the second
    assert spectrum(relu, x).condition == pytest.approx(1)


def test_gradient_norms_are_those_of_torch() -> None:
    module, x, y = chain(2, 5, "kaiming_normal", 0, nn.ReLU), randn(16, 5), torch.arange(16) % 5
    found = winit.probe(module, x, y).table.set_index(["layer", "metric"])["value"]
    nn.functional.cross_entropy(module(x), y).backward()
    for name, parameter in module.named_parameters():
        assert found[name, "grad_norm"] == pytest.approx(parameter.grad.norm().item(), rel=1e-5)
    z = module[0](x)
    (delta,) = torch.autograd.grad(nn.functional.cross_entropy(module[1:](z), y), [z])
    assert found["0", "grad_norm"] == pytest.approx(delta.norm().item(), rel=1e-5)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softsign", "hardtanh"])
def test_saturation_is_a_slope(name: str) -> None:
    z = torch.linspace(-6, 6, 20_001, dtype=torch.float64).reshape(-1, 1, 1)
    edge = {"tanh": math.atanh(0.97), "sigmoid": 2 * math.atanh(0.97), "softsign": 1 / 0.0591**0.5 - 1, "hardtanh": 1}
    assert signal.saturated_fraction(z, activation_function(name)) == pytest.approx(1 - edge[name] / 6, abs=1e-3)


def test_correlation_is_the_mean_cosine() -> None:
    z = randn(6, 1, 4).double()
    z[2] = 0
    there = z[[0, 1, 3, 4, 5]].flatten(1)
    cosines = torch.corrcoef(torch.cat([there, -there], 1))  # centred already
    assert signal.correlation(z) == pytest.approx((cosines.sum().item() - 5) / 20)
    assert math.isnan(signal.correlation(z[2:3]))


def test_variances_leave_out_the_mean() -> None:
    z = randn(5, 3, 4).double() - 3
    assert signal.pre_variance(z) == pytest.approx(signal.pre_mean_square(z) - signal.pre_mean(z) ** 2)
    assert signal.pre_variance(torch.full((5, 1, 4), 0.1, dtype=torch.float64)) == 0
    a = randn(5, 3, 4).double() + 2
    assert signal.act_variance(a) == pytest.approx(signal.act_mean_square(a) - signal.pre_mean(a) ** 2)
    assert signal.act_variance(torch.full((5, 1, 4), 0.1, dtype=torch.float64)) == 0


def test_dead_units_are_silent_for_all_examples() -> None:
    z = torch.tensor([[[-1.0, 0.0, 1.0]], [[-2.0, 0.0, -1.0]]])
    assert signal.dead_fraction(z) == pytest.approx(2 / 3)


def test_distinct_units() -> None:
    rows = randn(50, 8)
    rows[10:20] = rows[3] * (1 + 1e-6)
    assert distinct_units([rows]) == 40
    assert distinct_units([torch.zeros(7, 3)]) == 1
    assert distinct_units([rows[3:4].expand(9, 8) * torch.tensor(1e-20)]) == 1
    conv = nn.Conv2d(4, 6, 3, groups=2)
    winit.init(conv, "ones")
    assert distinct_units(unit_rows(conv)) == 2  # each group sees other inputs


def test_equal_biases_do_not_make_equal_units_of_different_ones() -> None:
    layer = nn.Linear(3, 4)
    winit.init(layer, "ones")
    assert distinct_units(unit_rows(layer)) == 1
    nn.init.uniform_(layer.bias, generator=torch.Generator().manual_seed(0))
    assert distinct_units(unit_rows(layer)) == 4


def test_gradient_rank() -> None:
    assert gradient_rank([randn(6, 3) @ randn(3, 9, seed=1)]) == 3
    assert gradient_rank([torch.zeros(4, 4)]) == 0
    assert gradient_rank([1e-30 * randn(4, 9)]) == 4
    assert math.isnan(gradient_rank([torch.full((2, 2), math.inf)]))


def test_gradient_quotient_of_a_parabola() -> None:
    w = torch.tensor([2.0, -3.0], requires_grad=True)
    # g = a w, H = a: (g - H g) / g - 1 = -a
    assert gradient_quotient(lambda: 0.25 * w.square().sum(), [w]) == pytest.approx(0.5, rel=1e-4)
    assert gradient_quotient(lambda: w.sum(), [w]) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("model", ["lstm", "gru", "rnn", "{name: rnn, nonlinearity: relu}", "{name: lstm, layers: 2}"])
def test_recurrent_models(model: str) -> None:
    found = probe_plan(plan_of(f"model={model}", "data={name: adding, length: 6, train_size: 40, test_size: 8}"))
    (one,) = (seeds[0] for seeds in found.measured.values())
    assert [place.path for place in one.places] == ["rnn", "head"]
    for metric in ("pre_mean_square", "act_mean_square", "layer_gain", "correlation", "grad_norm", "distinct_units"):
        assert one.value(1, metric) > 0
    assert one.value(2, "jacobian_sq_sv_mean") > 0 and one.value(2, "gradient_quotient") > 0
    names = [row.layer for row in one.rows if row.metric == "grad_norm"]
    assert {"rnn", "rnn.weight_hh_l0", "head.bias"} <= set(names)


@pytest.mark.parametrize("pool", ["max", "avg", "none"])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_convolutional_models(pool: str, norm: str) -> None:
    model = f"{{name: cnn, channels: [3, 4], pool: {pool}, norm: {norm}}}"
    found = probe_plan(plan_of(f"model={model}", "data={name: digits, train_size: 64, test_size: 8}", "seeds=1"))
    one = found.measured["kaiming_normal"][0]
    assert [(place.path, place.units, place.activation) for place in one.places][:2] == [
        ("convs.0", 3, "relu"),
        ("convs.1", 4, "relu"),
    ]
    if norm == "batch":  # what enters the activation
        assert one.value(2, "pre_mean_square") == pytest.approx(1, rel=1e-3)


def test_batch_norm_does_not_let_examples_depend_on_each_other() -> None:
    def of(x: Tensor) -> Measured:
        return measure(module, x, None, lambda out, _: out.square().mean(), "test")

    module = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))
    x = randn(32, 4)
    found = of(x)
    z = module[0](x)
    weight = module[2].weight @ torch.diag(z.var(0).add(1e-5).rsqrt()) @ module[0].weight
    squares = torch.linalg.svdvals(weight.double()) ** 2
    assert found.value(2, "jacobian_sq_sv_mean") == pytest.approx(squares.mean().item(), rel=1e-4)
    assert of(x) == found
