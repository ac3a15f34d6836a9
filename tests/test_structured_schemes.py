"""Structured schemes: the property that each is named for, over shapes and types of numbers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from scipy.linalg import hadamard
from torch import Tensor, nn
from torch.nn import functional as F
from zoo import use_of

from winit_cli.api.init import init
from winit_cli.errors import ConfigError
from winit_cli.models import MODELS, Task
from winit_cli.rng import generator
from winit_cli.schemes import SCHEMES

DTYPES = {torch.float64: 1e-13, torch.float32: 2e-6, torch.bfloat16: 0.02}


def _filled(name: str, shape: tuple[int, ...], dtype: torch.dtype = torch.float64, **options: Any) -> Tensor:
    tensor = torch.full(shape, math.nan, dtype=dtype)
    SCHEMES[name].fill(tensor, generator(0, name), **use_of(name, **options).options)
    return tensor


def _gram(matrix: Tensor) -> Tensor:
    """Products of the rows or columns, whichever are fewer."""
    wide = matrix.double()
    return wide @ wide.T if wide.shape[0] <= wide.shape[1] else wide.T @ wide


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(5, 5), (40, 17), (17, 40), (8, 3, 2, 2)])
def test_orthogonal_in_every_type_of_numbers(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    gram = _gram(_filled("orthogonal", shape, dtype).flatten(1))
    torch.testing.assert_close(gram, torch.eye(len(gram), dtype=torch.float64), atol=DTYPES[dtype], rtol=0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(6, 4, 3), (4, 6, 5, 3), (7, 7, 3, 3), (5, 2, 3, 1, 2), (3, 3, 4, 4)])
def test_delta_orthogonal_is_an_orthogonal_matrix_in_the_middle(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    kernel = _filled("delta_orthogonal", shape, dtype, gain=1.5)
    middle = kernel[(..., *((size - 1) // 2 for size in shape[2:]))]
    gram = _gram(middle) / 1.5**2
    torch.testing.assert_close(gram, torch.eye(len(gram), dtype=torch.float64), atol=DTYPES[dtype], rtol=0)
    assert int((kernel != 0).sum()) == int((middle != 0).sum()) > 0


@pytest.mark.parametrize("layers", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_delta_orthogonal_keeps_lengths_through_circular_convolutions(layers: int) -> None:
    x = start = torch.randn(3, 8, 6, 6, generator=generator("x"))
    with torch.no_grad():
        for depth in range(layers):
            conv = nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular")
            init(conv, "delta_orthogonal", seed=depth)
            x = conv(x)
    torch.testing.assert_close(x.flatten(1).norm(dim=1), start.flatten(1).norm(dim=1), rtol=1e-4, atol=0)
    inner = (x[0] * x[1]).sum()
    torch.testing.assert_close(inner, (start[0] * start[1]).sum(), rtol=1e-3, atol=1e-3)


def test_a_plainly_orthogonal_kernel_does_not_keep_lengths() -> None:
    x = torch.randn(3, 8, 6, 6, generator=generator("x"))
    conv = nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular")
    init(conv, "orthogonal")
    with torch.no_grad():
        assert abs(float(conv(x).norm() / x.norm()) - 1) > 0.01


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(("scheme", "scale"), [("zero", 1.0), ("delta_orthogonal", 0.7)])
@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_under_same_padding_a_pixel_sees_itself_alone(kernel: int, scheme: str, scale: float) -> None:
    """An even kernel has its centre at (k - 1) // 2, as JAX and TensorFlow take it: same padding adds more behind."""
    conv = nn.Conv2d(4, 4, kernel, padding="same", dtype=torch.float64)
    init(conv, scheme, **({} if scheme == "zero" else {"gain": scale}))
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64, generator=generator("x"))
    with torch.no_grad():
        torch.testing.assert_close(conv(x).norm(dim=1), scale * x.norm(dim=1))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("c", ["code", "paper"])
@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (20, 7), (33, 32), (1, 4), (2, 1), (6, 4, 3), (4, 6, 3, 3)])
def test_zero_is_an_identity_or_the_corner_of_a_hadamard_matrix(
    shape: tuple[int, ...], c: str, dtype: torch.dtype
) -> None:
    rows, columns = shape[:2]
    m = math.ceil(math.log2(rows))
    wanted = torch.eye(rows, columns, dtype=torch.float64)
    if rows > columns:
        printed = 2 ** (-(m - 1) / 2)  # Algorithm 1; the authors' code divides by 2 ** (m / 2)
        wanted = torch.from_numpy(hadamard(2**m))[:rows, :columns].double() * (
            printed if c == "paper" else 2 ** (-m / 2)
        )
    weight = _filled("zero", shape, dtype, c=c).double()
    middle = weight[(..., *((size - 1) // 2 for size in shape[2:]))]
    torch.testing.assert_close(middle, wanted, atol=DTYPES[dtype], rtol=0)
    assert float(weight.abs().sum()) == pytest.approx(float(middle.abs().sum()))
    moments = SCHEMES["zero"].moments(shape, c=c)
    assert weight.mean() == pytest.approx(moments.mean, abs=DTYPES[dtype])
    assert weight.std(correction=0) == pytest.approx(moments.std, abs=DTYPES[dtype])


@pytest.mark.parametrize(("first", "rank_is_bound"), [("eye", True), ("zero", False)])
def test_zeros_hadamard_matrix_lifts_the_bound_on_the_rank(first: str, rank_is_bound: bool) -> None:
    """Zhao et al., section 3: with identities alone no more than inputs directions of a hidden layer ever change."""
    inputs, width = 4, 32
    model = nn.Sequential(
        nn.Linear(inputs, width, bias=False), nn.ReLU(), nn.Linear(width, width, bias=False), nn.ReLU()
    )
    model.append(nn.Linear(width, width, bias=False))
    init(model, {"rules": [{"layers": "first", "scheme": first}], "others": "zero"})
    x, y = (torch.randn(256, size, generator=generator("xy", size)) for size in (inputs, width))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(20):
        optimizer.zero_grad()
        F.mse_loss(model(x), y).backward()
        optimizer.step()
    change = model[2].weight.detach() - torch.eye(width)
    rank = int(torch.linalg.matrix_rank(change, atol=1e-5))
    assert rank <= inputs if rank_is_bound else rank > inputs


def test_looks_linear_nets_are_orthogonal_maps() -> None:
    model = MODELS["mlp"].build(Task((24,), 24), width=24, depth=40, activation="crelu").double()
    init(model, "looks_linear", activation="crelu")
    x, y = (torch.randn(5, 24, dtype=torch.float64, generator=generator(name)) for name in "xy")
    with torch.no_grad():
        torch.testing.assert_close(model(2 * x - 3 * y), 2 * model(x) - 3 * model(y))
    jacobian = torch.autograd.functional.jacobian(model, x[0])
    torch.testing.assert_close(torch.linalg.svdvals(jacobian), torch.ones(24, dtype=torch.float64))
    weight = model.layers[3].weight
    assert torch.equal(weight[:, :24], -weight[:, 24:])


def test_looks_linear_needs_crelu_and_says_so() -> None:
    with pytest.raises(ConfigError, match="it is for nets with activation: crelu, not 'relu'"):
        init(nn.Linear(4, 4), "looks_linear", activation="relu")
    odd = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2), nn.Linear(2, 2))
    with pytest.raises(ConfigError, match=r"'looks_linear' cannot fill 1.weight \(2, 3\).*even number of inputs"):
        init(odd, "looks_linear", activation="crelu")
    table = init(odd, "looks_linear", activation="crelu", fallback="zeros").set_index("param")
    assert table.loc["1.weight", "scheme"] == "zeros"


def test_the_priors_of_outputs() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    table = init(model, "bias_prior", prior=0.01).set_index("param")
    assert torch.sigmoid(model[2].bias.detach()).tolist() == pytest.approx([0.01] * 3)
    assert list(table["scheme"]) == ["pytorch_default"] * 3 + ["bias_prior"]
    assert table.loc["2.bias", "expected_std"] == 0
    default = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    init(default, "pytorch_default")
    for name, value in default.named_parameters():
        assert name == "2.bias" or torch.equal(value, model.get_parameter(name))
    init(model, "bias_prior", prior=[0.7, 0.2, 0.1])
    assert torch.softmax(model[2].bias.detach(), 0).tolist() == pytest.approx([0.7, 0.2, 0.1])


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ([0.5, 0.5], r"has 2 frequencies, 0\.bias has 3 outputs"),
        ([0.5, 0.2, 0.1], r"add up to 1, these to 0\.8"),
        (0.0, "prior"),
        (1.0, "prior"),
    ],
)
def test_impossible_priors_are_refused(prior: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        init(nn.Sequential(nn.Linear(4, 3)), "bias_prior", prior=prior)


def test_a_prior_needs_an_output_bias() -> None:
    with pytest.raises(ConfigError, match="'bias_prior' is for the biases of the head, and the model has none"):
        init(nn.Linear(4, 3, bias=False), "bias_prior")
