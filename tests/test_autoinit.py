"""autoinit: what it computes is what is measured, and what it cannot follow it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from winit_cli.api.init import init
from winit_cli.errors import UsageError
from winit_cli.models.activations import OWN
from winit_cli.rng import generator
from winit_cli.schemes.following import Follower
from winit_cli.schemes.signal import Signal, state

WIDTH, SEEDS = 200, 8
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "leaky_relu(0.3)": lambda x: F.leaky_relu(x, 0.3),
    "tanh": torch.tanh,
    "sigmoid": lambda x: x.sigmoid(),
    "gelu(tanh)": lambda x: F.gelu(x, approximate="tanh"),
    "softplus": F.softplus,
    "selu": lambda x: F.selu(x.clone(), inplace=True),
    "hardtanh": F.hardtanh,
    "sine": OWN["sine"],
    "arithmetic": lambda x: 0.5 - (2 * F.relu(x) - 1) / 3,
    "dropout": lambda x: F.dropout(F.relu(x), 0.4, True),
}


class Layers(nn.Module):
    """Linear layers with a function between them, which may double the width."""

    def __init__(self, function: Callable[[Tensor], Tensor], depth: int = 3, doubled: int = 1) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH * (doubled if i else 1), WIDTH) for i in range(depth))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        for index, layer in enumerate(self.layers):
            x = layer(self.function(x) if index else x)
        return x


def _x(mean: float = 0.0, std: float = 1.0, shape: tuple[int, ...] = (400, WIDTH)) -> Tensor:
    return mean + std * torch.randn(shape, generator=generator("x", *shape))


def _mean_variances(module: nn.Module, x: Tensor, scheme: Any = "autoinit", **options: Any) -> list[float]:
    """Over seeds: few units scatter, and more so where inputs have a mean."""
    found = []
    for seed in range(SEEDS):
        init(module, scheme, seed=seed, batch=x, **options)
        found.append(torch.tensor(_variances(module, x)))
    return torch.stack(found).mean(0).tolist()  # type: ignore[no-any-return]


def _variances(module: nn.Module, x: Tensor) -> list[float]:
    """Of what every linear and convolutional layer gives, over all units and examples."""
    found: list[float] = []
    hooks = [
        layer.register_forward_hook(lambda layer, args, out: found.append(float(out.detach().double().var())))
        for layer in module.modules()
        if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd)
    ]
    module(x)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("shifted", [(0.0, 1.0), (-3.0, 0.5)], ids=["gaussian", "shifted"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_layer_has_unit_variance(name: str, shifted: tuple[float, float]) -> None:
    assert _mean_variances(Layers(ACTIVATIONS[name]), _x(*shifted)) == pytest.approx([1, 1, 1], abs=0.15)


def test_crelu_doubles_the_width() -> None:
    assert _mean_variances(Layers(OWN["crelu"], doubled=2), _x(1.0)) == pytest.approx([1, 1, 1], abs=0.15)


@pytest.mark.parametrize("distribution", ["truncated_normal", "untruncated_normal", "uniform"])
def test_all_distributions_have_the_variance_of_the_paper(distribution: str) -> None:
    module = Layers(F.relu)
    init(module, "autoinit", batch=_x(2.0, 0.5), distribution=distribution)
    first, second, _ = (layer.weight.detach().double() for layer in module.layers)
    assert float(first.square().mean()) == pytest.approx(1 / (WIDTH * (2.0**2 + 0.5**2)), rel=0.03)
    assert float(second.square().mean()) == pytest.approx(1 / (WIDTH * 0.5), rel=0.03)  # E[relu(z)²] = 1/2


MAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "max_pool": lambda x: F.max_pool2d(x, 2),
    "avg_pool": nn.AvgPool2d((2, 4)),
    "adaptive_max": nn.AdaptiveMaxPool2d(2),
    "global_average": lambda x: x.mean(dim=(-2, -1)),
    "adaptive_avg": nn.AdaptiveAvgPool2d(4),
    "relu_then_max": lambda x: F.relu(F.max_pool2d(x, 3)),
    "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
    "rms_norm": lambda x: F.rms_norm(x, x.shape[1:]),
    "pad": lambda x: F.pad(x, (0, 4, 2, 2), value=3.0),
    "cat": lambda x: torch.cat([x, F.relu(x)], 1),
    "constant": lambda x: x.flatten(1) * torch.tensor([2.0, -1.0]).repeat(384) + torch.ones(768),
    "sub": lambda x: 2 - (x - 1),
    "twice": lambda x: x + x,
    "sum": lambda x: x.sum((-2, -1)),
    "slices": lambda x: torch.stack([part.transpose(-1, -2)[..., :3] for part in x.chunk(3, 1)]),
    "prelu": nn.PReLU(),
    "max": lambda x: x.amax(-1),
}


@pytest.mark.parametrize("name", MAPS)
def test_what_is_computed_of_an_operation_is_what_is_measured(name: str) -> None:
    x = _x(0.7, 1.5, (300, 3, 16, 16))
    follower = Follower(x, [], lambda *_: Signal(0, 1))
    with torch.no_grad(), follower:
        out = MAPS[name](x)
        computed = follower._signal(out)
    measured = Signal.of(out)
    assert computed.mean == pytest.approx(measured.mean, rel=0.03, abs=0.03)
    assert computed.variance == pytest.approx(measured.variance, rel=0.1)


@pytest.mark.parametrize(("cls", "options"), [(nn.RNN, {}), (nn.LSTM, {}), (nn.GRU, {})])
def test_the_state_of_recurrent_layers(cls: type[nn.RNNBase], options: dict[str, Any]) -> None:
    """For inputs that are independent in time."""
    module, x = cls(40, WIDTH, batch_first=True, **options), _x(0.0, 2.0, (80, 15, 40))
    init(module, "autoinit", batch=x)
    computed, measured = state(module.mode, 1.0, 1.0, 15), Signal.of(module(x)[0][:, -1])
    assert computed.mean == pytest.approx(measured.mean, abs=0.01)
    assert computed.variance == pytest.approx(measured.variance, rel=0.1)
    for gate in (x @ module.weight_ih_l0.T).detach().chunk(len(module.weight_ih_l0) // WIDTH, -1):
        assert float(gate.var()) == pytest.approx(1, abs=0.1)


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.GRU(5, 30, 2, bidirectional=True), nn.Linear(30, 3)

    def forward(self, x: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, torch.tensor([4] * 10 + [2] * 10), batch_first=True)
        out: Tensor = self.head(self.rnn(packed)[1][-1])
        return out


class Images(nn.Module):
    """A residual block, strides, groups and a transposed convolution; one layer is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner = nn.Conv2d(4, 40, 3, bias=False), nn.Conv2d(40, 40, 3, groups=2)
        self.up, self.head = nn.ConvTranspose2d(40, 40, 2, 2), nn.Linear(40, 30)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = F.relu(self.inner(x) + x[..., 1:-1, 1:-1])
        x = torch.tanh(self.inner(x))
        out: Tensor = self.head(self.up(x).flatten(2).transpose(1, 2))
        return out


def test_convolutions_of_all_kinds() -> None:
    stem, block, again, up, head = _mean_variances(Images(), _x(0.5, 1.0, (40, 4, 12, 12)))
    assert (stem, block, up, head) == pytest.approx((1, 1, 1, 1), abs=0.25)
    assert again > 2  # the second call meets a larger signal


def test_packed_sequences_and_tokens() -> None:
    init(Packed(), "autoinit", batch=_x(1.0, 2.0, (20, 4, 5)))
    module, tokens = nn.Sequential(nn.Embedding(50, 40), nn.Flatten(), nn.Linear(240, 200)), torch.arange(300) % 50
    assert _mean_variances(module, tokens.reshape(50, 6)) == pytest.approx([1], abs=0.15)


def test_layers_of_other_schemes_are_seen_as_they_are() -> None:
    rules = [{"params": "layers.0.weight", "scheme": "normal", "std": 0.5}]
    recipe = {"rules": rules, "others": "autoinit", "bias": {"scheme": "constant", "val": 2.0}}
    first, second, third = _mean_variances(Layers(F.relu), _x(1.0), recipe)
    assert first == pytest.approx(WIDTH * 0.25 * 2, rel=0.1)
    assert (second, third) == pytest.approx((1, 1), abs=0.2)


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.behind = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        out: Tensor = self.behind(x * torch.sigmoid(x))
        return out


class Cell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.cell(x)
        return out


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "product": (Gated, "mul of two signals"),
    "softmax": (lambda: Layers(lambda x: x.softmax(-1)), "softmax"),
    "matmul": (lambda: Layers(lambda x: x @ x.T @ x), "matmul"),
    "written": (lambda: Layers(_written), "__setitem__"),
    "cell": (Cell, "GRUCell"),
    "projected": (lambda: nn.LSTM(WIDTH, 8, proj_size=3), "LSTM"),
}


def _written(x: Tensor) -> Tensor:
    empty = torch.zeros(x.shape)
    empty[:] = x
    return empty


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("name", REFUSED)
def test_what_it_cannot_follow_is_refused_in_one_line(name: str) -> None:
    make, what = REFUSED[name]
    with pytest.raises(UsageError, match=rf"^autoinit cannot follow the signal through {what}; .*Use lsuv") as caught:
        init(make(), "autoinit", batch=_x())
    assert "\n" not in str(caught.value)


def test_what_gets_no_signal_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"autoinit cannot scale layers\.0\.weight: the mean square of its inputs is 0"
    ):
        init(Layers(F.relu), "autoinit", batch=torch.zeros(5, WIDTH))
