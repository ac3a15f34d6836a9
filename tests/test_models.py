"""Models: parameter names, shapes, and forward passes against the formulas written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from winit_cli.errors import UsageError
from winit_cli.models import MODELS, Task, construct
from winit_cli.models.row import activation_function
from winit_cli.rng import generator
from winit_cli.theory.activations import ACTIVATIONS

VECTOR, SEQUENCE, IMAGE = Task((7,), 3), Task((9, 4), 3), Task((2, 8, 6), 3)
LAST_STEPS = Task((9, 4), 3, target_steps=2)


def _build(name: str, task: Task, **options: Any) -> nn.Module:
    return construct(MODELS[name], task, options, seed=0)


def _inputs(task: Task, batch: int = 5) -> Tensor:
    return torch.randn(batch, *task.input_shape, generator=generator("inputs"))


def _names(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_parameters()]


def test_mlp_names_and_shapes() -> None:
    model = _build("mlp", VECTOR, width=6, depth=2)
    assert {name: tuple(p.shape) for name, p in model.named_parameters()} == {
        "layers.0.weight": (6, 7),
        "layers.0.bias": (6,),
        "layers.1.weight": (6, 6),
        "layers.1.bias": (6,),
        "head.weight": (3, 6),
        "head.bias": (3,),
    }
    assert _names(_build("mlp", VECTOR, depth=0)) == ["head.weight", "head.bias"]
    assert _names(_build("mlp", VECTOR, depth=1, bias=False)) == ["layers.0.weight", "head.weight"]


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_norm_layers_are_named_norms(norm: str) -> None:
    for name, layers in (("mlp", "layers"), ("cnn", "convs")):
        sizes = {"width": 6, "depth": 2} if name == "mlp" else {"channels": (4, 6)}
        names = _names(_build(name, IMAGE, norm=norm, **sizes))
        assert names == [
            *(f"{group}.{i}.{part}" for group in (layers, "norms") for i in range(2) for part in ("weight", "bias")),
            "head.weight",
            "head.bias",
        ]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlp_computes_its_formula(activation: str) -> None:
    model, x = _build("mlp", IMAGE, width=6, depth=2, activation=activation), _inputs(IMAGE)
    p = dict(model.named_parameters())
    f = activation_function(activation)
    hidden = x.flatten(1)
    for i in range(2):
        hidden = f(hidden @ p[f"layers.{i}.weight"].T + p[f"layers.{i}.bias"])
    torch.testing.assert_close(model(x), hidden @ p["head.weight"].T + p["head.bias"])


def test_norm_comes_before_the_activation() -> None:
    for norm in ("batch", "layer"):
        model, x = _build("mlp", VECTOR, width=6, depth=1, norm=norm), _inputs(VECTOR)
        z = x @ model.layers[0].weight.T + model.layers[0].bias
        dim = 0 if norm == "batch" else 1
        z = (z - z.mean(dim, keepdim=True)) / (z.var(dim, correction=0, keepdim=True) + 1e-5).sqrt()
        torch.testing.assert_close(model(x), model.head(F.relu(z)))


@pytest.mark.parametrize("repeat", [1, 2])
@pytest.mark.parametrize(("pool", "function"), [("max", F.max_pool2d), ("avg", F.avg_pool2d), ("none", None)])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_cnn_computes_its_formula(activation: str, pool: str, function: Any, repeat: int) -> None:
    options = {"kernel_size": 3, "activation": activation, "pool": pool, "repeat": repeat}
    model, x = _build("cnn", IMAGE, channels=(4, 5, 6), **options), _inputs(IMAGE)
    convs = [f"convs.{i}.{part}" for i in range(3 * repeat) for part in ("weight", "bias")]
    assert _names(model) == [*convs, "head.weight", "head.bias"]
    assert [conv.out_channels for conv in model.convs] == [size for size in (4, 5, 6) for _ in range(repeat)]
    hidden = x
    for i, conv in enumerate(model.convs, 1):
        hidden = getattr(torch, activation)(F.conv2d(hidden, conv.weight, conv.bias, padding=1))
        hidden = function(hidden, 2) if function is not None and i in (repeat, 2 * repeat) else hidden
    assert hidden.shape[2:] == ((2, 1) if function else (8, 6))
    torch.testing.assert_close(model(x), model.head(hidden.mean(dim=(2, 3))))


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_recurrent_names_and_the_last_state(name: str) -> None:
    model, x = _build(name, SEQUENCE, hidden=6, layers=2), _inputs(SEQUENCE)
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    assert _names(model) == [f"rnn.{kind}_l{layer}" for layer in range(2) for kind in kinds] + [
        "head.weight",
        "head.bias",
    ]
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[name]
    assert model.rnn.weight_ih_l0.shape == (gates * 6, 4)
    torch.testing.assert_close(model(x), model.head(model.rnn(x)[1][0][-1] if name == "lstm" else model.rnn(x)[1][-1]))


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_targets_at_the_last_steps_get_an_output_each(name: str) -> None:
    model, x = _build(name, LAST_STEPS, hidden=6), _inputs(LAST_STEPS)
    assert model(x).shape == (5, 2, 3)
    torch.testing.assert_close(model(x)[:, 1], model.head(model.rnn(x)[0][:, -1]))
    torch.testing.assert_close(model(x)[:, 0], model.head(model.rnn(x)[0][:, -2]))


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_images_are_read_row_by_row(name: str) -> None:
    model, x = _build(name, IMAGE, hidden=6), _inputs(IMAGE)
    rows = torch.stack([torch.cat([x[:, c, t] for c in range(2)], dim=1) for t in range(8)], dim=1)
    assert model.rnn.input_size == 2 * 6
    torch.testing.assert_close(model(x), model.head(model.rnn(rows)[0][:, -1]))


def test_rnn_nonlinearities() -> None:
    x = _inputs(SEQUENCE)
    for nonlinearity, f in (("tanh", torch.tanh), ("relu", torch.relu)):
        model = _build("rnn", SEQUENCE, hidden=6, nonlinearity=nonlinearity)
        p, h = dict(model.named_parameters()), torch.zeros(5, 6)
        for t in range(9):
            weights = x[:, t] @ p["rnn.weight_ih_l0"].T + h @ p["rnn.weight_hh_l0"].T
            h = f(weights + p["rnn.bias_ih_l0"] + p["rnn.bias_hh_l0"])
        torch.testing.assert_close(model(x), model.head(h))


@pytest.mark.parametrize("name", MODELS)
def test_construction_depends_on_the_seed_and_no_global_state(name: str) -> None:
    before = torch.get_rng_state()
    options = {"patch": 2} if name == "transformer" else {}
    built = [construct(MODELS[name], IMAGE, options, seed).state_dict() for seed in (0, 0, 1)]
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(built[0][key], built[1][key]) for key in built[0])
    assert not torch.equal(built[0]["head.weight"], built[2]["head.weight"])


@pytest.mark.parametrize(
    ("name", "options", "activation"),
    [
        ("mlp", {"activation": "gelu"}, "gelu"),
        ("cnn", {"activation": "silu"}, "silu"),
        ("lstm", {}, "tanh"),
        ("gru", {}, "tanh"),
        ("rnn", {"nonlinearity": "relu"}, "relu"),
    ],
)
def test_what_gain_auto_means(name: str, options: dict[str, str], activation: str) -> None:
    assert MODELS[name].activation(options) == activation


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("cnn", VECTOR, r"cnn needs images \(channels, height, width\), the data has vectors .* use model: mlp"),
        ("cnn", Task((1, 2, 2), 3), "cnn halves the image after each of 2 layers, .* at most 2 channels .*pool: none"),
        ("lstm", VECTOR, r"lstm needs sequences \(time, features\) or images, .* use model: mlp"),
        (
            "mlp",
            LAST_STEPS,
            "mlp gives one output per example, .* last 2 time steps; use model: lstm, gru, rnn or transformer",
        ),
        ("cnn", Task((1, 8, 8), 3, 2), "cnn gives one output per example"),
    ],
)
def test_data_that_does_not_fit_is_refused(name: str, task: Task, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _build(name, task)


def test_the_smallest_image_that_cnn_accepts_works() -> None:
    for side, channels in ((1, 1), (2, 2), (4, 3), (5, 3)):
        model = _build("cnn", Task((1, side, side), 3), channels=(2,) * channels)
        assert model(torch.ones(2, 1, side, side)).shape == (2, 3)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
def test_every_kernel_size_pads_as_torchs_same(kernel_size: int) -> None:
    model = _build("cnn", IMAGE, channels=(3,), kernel_size=kernel_size, activation="linear")
    conv, x = model.convs[0], _inputs(IMAGE)
    hidden = F.conv2d(x, conv.weight, conv.bias, padding="same")
    assert hidden.shape == (5, 3, 8, 6)
    torch.testing.assert_close(model(x), model.head(hidden.mean(dim=(2, 3))))
