"""Schemes of the variance family against the formulas of their papers, and what their networks do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F
from zoo import use_of

from winit_cli.api.init import init
from winit_cli.errors import ConfigError
from winit_cli.models import MODELS, Task
from winit_cli.models.activations import sine
from winit_cli.rng import generator
from winit_cli.schemes import SCHEMES
from winit_cli.schemes.frameworks import TRUNCATED_STD
from winit_cli.theory.activations import ACTIVATIONS
from winit_cli.theory.critical import critical_sigma_w2
from winit_cli.theory.finite_width import relu_log_moments
from winit_cli.theory.maps import variance_slope

SHAPES = ((300, 200), (64, 16, 5, 5), (128, 30, 7), (33, 257))
DTYPES = (torch.float32, torch.float64, torch.bfloat16)


def _filled(name: str, shape: tuple[int, ...], dtype: torch.dtype = torch.float64, **options: Any) -> torch.Tensor:
    tensor = torch.full(shape, math.nan, dtype=dtype)
    SCHEMES[name].fill(tensor, generator(0, name), **use_of(name, **options).options)
    return tensor.double()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", ["truncated_normal", "untruncated_normal", "uniform"])
def test_variance_scaling_has_the_variance_and_the_form_of_keras(
    distribution: str, mode: str, dtype: torch.dtype
) -> None:
    for shape in SHAPES:
        values = _filled("variance_scaling", shape, dtype, scale=1.7, mode=mode, distribution=distribution)
        kernel = math.prod(shape[2:])
        fan_in, fan_out = shape[1] * kernel, shape[0] * kernel
        std = math.sqrt(1.7 / {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode])
        assert values.std(correction=0) == pytest.approx(std, rel=4 / math.sqrt(values.numel()) + 0.002)
        law = {
            "truncated_normal": stats.truncnorm(-2, 2, scale=std / TRUNCATED_STD),
            "untruncated_normal": stats.norm(scale=std),
            "uniform": stats.uniform(-math.sqrt(3) * std, 2 * math.sqrt(3) * std),
        }[distribution]
        if dtype != torch.bfloat16:  # whose rounding the test would see
            assert stats.kstest(values.flatten().numpy(), law.cdf).pvalue > 1e-4


def test_the_correction_is_the_std_of_the_cut_normal() -> None:
    assert stats.truncnorm(-2, 2).std() == pytest.approx(TRUNCATED_STD, rel=1e-12)


def test_frameworks_glorot_and_he_are_cases_of_variance_scaling() -> None:
    """The uniform and uncut ones share their noise with torch's functions; the same generator gives the same values."""
    for name, options, scaling in (
        ("xavier_uniform", {}, {"mode": "fan_avg", "distribution": "uniform"}),
        ("kaiming_normal", {}, {"scale": 2.0, "distribution": "untruncated_normal"}),
        ("lecun_uniform", {}, {"distribution": "uniform"}),
    ):
        one, other = torch.empty(40, 30), torch.empty(40, 30)
        SCHEMES[name].fill(one, generator("same"), **use_of(name, **options).options)
        SCHEMES["variance_scaling"].fill(other, generator("same"), **use_of("variance_scaling", **scaling).options)
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-8)


def test_trunc_normal_tf_cuts_at_multiples_of_its_std() -> None:
    values = _filled("trunc_normal_tf", (400, 300), mean=0.5, std=0.02)
    assert 0.46 <= values.min() < 0.4602 and 0.5398 < values.max() <= 0.54
    assert values.std() == pytest.approx(0.02 * TRUNCATED_STD, rel=0.01)
    plain = _filled("trunc_normal", (400, 300), mean=0.5, std=0.02)
    assert plain.std() == pytest.approx(0.02, rel=0.01), "torch's a and b are absolute"


def test_caffe2_xavier_is_fan_in_alone() -> None:
    values = _filled("caffe2_xavier", (10, 500))
    assert 0.99 * math.sqrt(3 / 500) < values.abs().max() <= math.sqrt(3 / 500)
    assert torch.equal(values, _filled_by_torch((10, 500)))


def _filled_by_torch(shape: tuple[int, ...]) -> torch.Tensor:
    tensor = torch.empty(shape, dtype=torch.float64)
    return nn.init.kaiming_uniform_(tensor, a=1, generator=generator(0, "caffe2_xavier"))


@pytest.mark.parametrize("width", [1, 2, 3, 5, 6, 7, 8, 9, 10, 12, 20, 64, 100, 500])
def test_the_random_walk_has_no_drift(width: int) -> None:
    """The mean of the logarithm of a layer's factor is 0; kaiming's gain would make it about -2.5 / width.

    For relu to 5 % from 9 units on; the authors' fit leaves a seventh at most below that, and 7 % of growth at 6.
    """
    relu = 2 * math.log(SCHEMES["random_walk"].moments((width, width), activation="relu").gain / math.sqrt(2))
    kaiming_drift, _ = relu_log_moments([width])
    rest = relu + kaiming_drift
    assert abs(rest) < (0.05 * abs(kaiming_drift) if width >= 9 else 1 / 7)
    if width == 6:
        assert math.exp(rest / 2) == pytest.approx(1.07, abs=0.005)
    if width < 9:
        return
    linear = 2 * math.log(SCHEMES["random_walk"].moments((width, width), activation="linear").gain)
    drift = float(torch.digamma(torch.tensor(width / 2, dtype=torch.float64))) + math.log(2 / width)
    assert abs(linear + drift) < 0.1 * abs(drift)


def test_the_random_walk_knows_two_activations() -> None:
    with pytest.raises(ConfigError, match="gains for linear and relu, not for 'tanh'"):
        init(nn.Linear(3, 3), "random_walk", activation="tanh")


@pytest.mark.parametrize(("activation", "sigma_b2"), [("tanh", 0.05), ("relu", 0.0), ("hardtanh", 0.2), ("selu", 0.01)])
def test_the_edge_of_chaos_has_the_critical_variances(activation: str, sigma_b2: float) -> None:
    model = MODELS["mlp"].build(Task((300,), 200), width=250, depth=2, activation=activation)
    options = {"sigma_b2": sigma_b2}
    init(model, {"scheme": "edge_of_chaos", "activation": activation, **options})
    wanted = critical_sigma_w2(activation, sigma_b2)
    assert wanted is not None
    for layer in (*model.layers, model.head):
        assert layer.in_features * layer.weight.detach().var() == pytest.approx(wanted, rel=0.03)
    biases = torch.cat([layer.bias.detach() for layer in (*model.layers, model.head)])
    assert biases.var() == pytest.approx(sigma_b2, rel=0.25)


def test_both_biases_of_a_recurrent_layer_share_sigma_b2() -> None:
    rnn = nn.RNN(10, 2000)
    init(rnn, {"scheme": "edge_of_chaos", "activation": "tanh", "sigma_b2": 0.09})
    assert (rnn.bias_ih_l0 + rnn.bias_hh_l0).detach().var() == pytest.approx(0.09, rel=0.1)


def test_gradients_keep_their_size_at_the_edge_of_chaos_alone() -> None:
    ratios = {}
    for name in ("edge_of_chaos", "pytorch_default"):
        model = MODELS["mlp"].build(Task((200,), 5), width=200, depth=30, activation="tanh")
        init(model, {"scheme": name, **({"activation": "tanh"} if name == "edge_of_chaos" else {})})
        x = torch.randn(64, 200, generator=generator("x"))
        F.cross_entropy(model(x), torch.arange(64) % 5).backward()
        ratios[name] = float(model.layers[1].weight.grad.norm() / model.layers[-1].weight.grad.norm())
    assert 0.2 < ratios["edge_of_chaos"] < 20 and ratios["pytorch_default"] < 1e-5


def test_an_activation_without_a_critical_line_is_refused() -> None:
    with pytest.raises(ConfigError, match="softplus has no critical sigma_w2 at sigma_b2=0"):
        init(nn.Linear(3, 3), "edge_of_chaos", activation="softplus")


def test_a_model_without_a_named_activation_asks_for_one() -> None:
    with pytest.raises(ConfigError, match=r"name it, e\.g\. activation: relu"):
        init(nn.Linear(3, 3), "edge_of_chaos")


@pytest.mark.parametrize(
    ("bias", "width", "std"),
    [("zeros", 256, 0.893), ("default", 100, 2.0), ("default", 256, 1.469), ("default", 1024, 1.097)],
)
def test_sirens_layers_get_normals_of_one_variance(bias: str, width: int, std: float) -> None:
    """What enters a sine has the fixed point ``q = 2 E[sin^2] + 300 / width = 1 - exp(-2 q) + 300 / width``.

    The first part is the weights', which the paper's theorem 1.8 rounds up to 1 by E[sin^2] = 1/2 of an arcsine
    distribution; the second is that of torch's biases, which the authors' code leaves.
    """
    added, nets = 300 / width if bias == "default" else 0, 6
    assert std**2 == pytest.approx(-math.expm1(-2 * std**2) + added, rel=3e-3)
    found = []
    model = MODELS["mlp"].build(Task((2,), 1), width=width, depth=7, activation="sine")
    hidden = torch.rand(nets, 100, 2, generator=generator("x")) * 2 - 1
    for net in range(nets):
        init(model, "siren", seed=net, bias=bias)
        x = hidden[net]
        with torch.no_grad():
            for layer in model.layers:
                z = 30 * layer(x)
                x = torch.sin(z)
        found.append(float(z.square().mean()))
    noise = math.sqrt((2 * (std**2 - added) ** 2 + 0.8 * added**2) / width / nets)
    assert np.mean(found) == pytest.approx(std**2, abs=3 * noise)


def test_sirens_sines_give_arcsines() -> None:
    model = MODELS["mlp"].build(Task((2,), 1), width=1024, depth=5, activation="sine")
    init(model, "siren")
    hidden = torch.rand(400, 2, generator=generator("x")) * 2 - 1
    arcsine = stats.arcsine(-1, 2)
    with torch.no_grad():
        for depth, layer in enumerate(model.layers, 1):
            hidden = sine(layer(hidden))
            distance = stats.kstest(hidden.flatten().numpy()[::97], arcsine.cdf).statistic
            assert distance < 0.06, depth
    assert model.layers[0].weight.abs().max() <= 1 / 2
    assert model.layers[1].weight.abs().max() <= math.sqrt(6 / 1024) / 30
    init(model, "xavier_uniform")
    with torch.no_grad():
        assert (30 * model.layers[1](hidden)).std() > 5


def test_the_first_layer_of_a_siren_is_the_models_first() -> None:
    table = init(nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 2)), "siren").set_index("param")
    assert table.loc["0.weight", "expected_std"] == pytest.approx(1 / 4 / math.sqrt(3))
    for name in ("1.weight", "2.weight"):
        assert table.loc[name, "expected_std"] == pytest.approx(1 / 6**0.5 * math.sqrt(6) / 30 / math.sqrt(3))
    assert table.loc["0.bias", "scheme"] == "pytorch_default"


def test_keras_layers_start_as_keras_makes_them() -> None:
    model = nn.ModuleDict({"rnn": nn.LSTM(40, 30), "conv": nn.Conv2d(8, 12, 3, groups=2), "out": nn.Linear(30, 20)})
    model["embedding"] = nn.Embedding(500, 40)
    table = init(model, "keras_default").set_index("param")
    lstm = model["rnn"]
    identity = lstm.weight_hh_l0.T @ lstm.weight_hh_l0  # Keras: (30, 120) with orthonormal rows
    torch.testing.assert_close(identity, torch.eye(30), atol=2e-6, rtol=0)
    limit = math.sqrt(6 / (40 + 4 * 30))
    assert 0.98 * limit < lstm.weight_ih_l0.abs().max() <= limit
    assert table.loc["rnn.weight_ih_l0", ["fan_in", "fan_out"]].tolist() == [40, 120]
    assert table.loc["conv.weight", ["fan_in", "fan_out"]].tolist() == [36, 108]
    torch.testing.assert_close(
        lstm.bias_ih_l0 + lstm.bias_hh_l0, torch.tensor([0.0, 1.0, 0.0, 0.0]).repeat_interleave(30)
    )
    assert 0.049 < model["embedding"].weight.abs().max() <= 0.05
    assert not model["out"].bias.any()


def test_selu_and_lecun_normal_have_the_fixed_point_of_the_paper() -> None:
    """Klambauer et al. 2017: mean 0 and variance 1 after 50 layers, from other moments too.

    That is the limit of wide layers. In n units the mean square q wanders: ``q' = V(q) + noise`` with noise of variance
    ``(E f^4 - 1) / n``, so about its fixed point, which the slope V'(1) = 0.783 pulls it to, ``Var q = (E f^4 - 1) / (n
    (1 - V'^2))``, and the mean of n units has ``Var m = 1 / n + M'^2 Var q``, M(q) = E f. The second derivatives move
    the means of both by less than a tenth of the tolerance. One input a net, as inputs of one net wander together.
    """
    width, nets = 100, 80
    slope = variance_slope(1.0, "selu", 1.0)
    noise = _selu_mean(1.0, 4) - 1
    mean_slope = (_selu_mean(1.01, 1) - _selu_mean(0.99, 1)) / 0.02
    wander = noise / width / (1 - slope**2)
    errors = {"mean": 1 / width + mean_slope**2 * wander, "mean square": wander}

    found: dict[str, list[float]] = {"mean": [], "mean square": []}
    x = 0.3 + 1.4 * torch.randn(nets, width, generator=generator("x"))
    model = MODELS["mlp"].build(Task((width,), 1), width=width, depth=50, activation="selu")
    for net in range(nets):
        init(model, "lecun_normal", seed=net)
        hidden = x[net]
        with torch.no_grad():
            for layer in model.layers:
                hidden = F.selu(layer(hidden))
        found["mean"].append(float(hidden.mean()))
        found["mean square"].append(float(hidden.square().mean()))
    for name, wanted in (("mean", 0), ("mean square", 1)):
        std = math.sqrt(errors[name])
        assert np.mean(found[name]) == pytest.approx(wanted, abs=3 * std / math.sqrt(nets)), name
        assert np.std(found[name]) == pytest.approx(std, rel=3 / math.sqrt(2 * nets)), name


def _selu_mean(q: float, power: int) -> float:
    """E[selu(sqrt(q) z)^power], z ~ N(0, 1)."""
    z = np.linspace(-12, 12, 24_001)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return float(np.trapezoid(ACTIVATIONS["selu"](math.sqrt(q) * z) ** power * density, z))
