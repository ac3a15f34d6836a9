"""One module with every kind of layer, and the options that every scheme is tested with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.nn.utils.parametrize import register_parametrization

from winit_cli.rng import seed_of
from winit_cli.schemes import SCHEMES
from winit_cli.schemes.apply import Assignment, initialize
from winit_cli.schemes.recipe import Recipe, Use

# schemes whose options have no default, and options other than the defaults
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "uniform": [{}, {"a": -0.3, "b": 0.1}],
    "normal": [{}, {"mean": 0.5, "std": 0.02}],
    "trunc_normal": [{}, {"std": 0.02}, {"mean": 0.5, "a": -0.3, "b": 1.0}, {"a": 1.0, "b": 1.5}],
    "constant": [{"val": -0.7}],
    "sparse": [{"sparsity": 0.3}, {"sparsity": 0.7, "std": 0.5}],
    "xavier_uniform": [{}, {"gain": 1.7}],
    "xavier_normal": [{}, {"gain": 0.2}],
    "kaiming_uniform": [{}, {"a": 5**0.5}, {"mode": "fan_out", "nonlinearity": "tanh"}],
    "kaiming_normal": [{}, {"a": 0.2}, {"mode": "fan_out", "nonlinearity": "selu"}],
    "orthogonal": [{}, {"gain": 1.4}],
    "variance_scaling": [
        {},
        {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"},
        {"scale": 0.5, "mode": "fan_avg", "distribution": "uniform"},
    ],
    "trunc_normal_tf": [{"std": 0.02}, {"mean": 0.1, "std": 0.3, "a": -1.0, "b": 3.0}],
    "random_walk": [{"activation": "relu"}, {"activation": "linear"}],
    "edge_of_chaos": [{"activation": "relu"}, {"activation": "tanh", "sigma_b2": 0.05}],
    "siren": [{}, {"omega_0": 10.0}],
    "forget_bias": [{}, {"value": 2.0, "rest": "zeros"}],
    "delta_orthogonal": [{}, {"gain": 1.3}],
    "zero": [{}, {"c": "paper"}],
    "looks_linear": [{"activation": "crelu"}],
    "chrono": [{"t_max": 50.0}, {"t_max": 2.0}],
    "identity_recurrent": [{}, {"scale": 0.5, "std": 0.01}],
    "bias_prior": [{}],
    "mup": [{}, {"base_width": 16, "gain": 1.0}],
}
DRIVEN = tuple(name for name, row in SCHEMES.items() if row.fit is not None)  # by data, so only for nets that run
RESIDUAL = tuple(name for name, row in SCHEMES.items() if row.family == "residual")  # for nets with branches
TRANSFORMER = tuple(name for name, row in SCHEMES.items() if row.family == "transformer")  # for nets with attention
ALONE = [
    name for name in SCHEMES if name not in (*DRIVEN, *RESIDUAL, *TRANSFORMER)
]  # what layers by themselves are filled with
CASES = [(name, options) for name in ALONE for options in OPTIONS.get(name, [{}])]
IDS = [" ".join([name, *(f"{k}={v}" for k, v in options.items())]) for name, options in CASES]
BY_PLACE = ("siren", "looks_linear", "bias_prior", "mup")  # where a parameter stands in the model counts
NEEDY = tuple(name for name, row in SCHEMES.items() if row.is_needed)  # only for models with such parameters
FALLBACK = Use("constant", {"val": 0.25})


class Zoo(nn.Module):
    """Linear, convolutions (grouped ones too), the recurrent layers, an embedding and norm layers."""

    def __init__(self, scale: int = 1) -> None:
        super().__init__()
        self.wide = nn.Linear(30 * scale, 9 * scale)
        self.tall = nn.Linear(9 * scale, 30 * scale)
        self.conv = nn.Conv2d(8 * scale, 12 * scale, 3)
        self.grouped = nn.Conv2d(8 * scale, 16 * scale, 3, groups=4)
        self.depthwise = nn.Conv1d(24 * scale, 48 * scale, 5, groups=24 * scale)
        self.lstm = nn.LSTM(7 * scale, 11 * scale, 2)
        self.gru = nn.GRU(7 * scale, 11 * scale)
        self.rnn = nn.RNN(7 * scale, 11 * scale)
        self.embedding = nn.Embedding(50 * scale, 8 * scale)
        self.batch = nn.BatchNorm2d(12)
        self.layer = nn.LayerNorm(12)
        self.group = nn.GroupNorm(3, 12)


class Positive(nn.Module):
    """A parametrization with a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return x.exp() * self.scale

    def right_inverse(self, x: Tensor) -> Tensor:
        return x.clamp_min(1e-3).log()


class Attentive(nn.Module):
    """Attention, tied, frozen and parametrized weights, cells, and layers whose norms start unlike torch's."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.apart = nn.MultiheadAttention(8, 2, kdim=5, vdim=6)
        self.embedding, self.head = nn.Embedding(20, 8), nn.Linear(8, 20)
        self.head.weight = self.embedding.weight
        self.normed, self.spectral = weight_norm(nn.Linear(8, 6)), spectral_norm(nn.Conv2d(4, 6, 3))
        self.cells, self.projected = nn.ModuleList([nn.LSTMCell(4, 5), nn.GRUCell(4, 5)]), nn.LSTM(4, 6, proj_size=3)
        self.gain, self.backward = nn.PReLU(3, init=0.1), nn.ConvTranspose2d(4, 6, 3, groups=2)
        self.scaled = nn.BatchNorm1d(8)
        register_parametrization(self.scaled, "weight", Positive())
        self.frozen = nn.Linear(8, 8)
        self.frozen.weight.requires_grad_(False)
        self.encoder.layers[1].linear1.requires_grad_(False)


def use_of(name: str, **options: Any) -> Use:
    """A scheme with the defaults of what is not given."""
    return Use(name, SCHEMES[name].options(**options).model_dump())


def recipe_of(name: str, **options: Any) -> Recipe:
    """A plain scheme; what it cannot fill is 0.25."""
    return Recipe(name, others=use_of(name, **options), fallback=FALLBACK)


def fill(model: nn.Module, name: str, seed: int = 3, **options: Any) -> dict[str, Assignment]:
    """Initialize a model with a plain scheme; what was done, by parameter."""
    return {a.slot.name: a for a in initialize(model, recipe_of(name, **options), seed)}


@contextlib.contextmanager
def seeded(*key: str | int) -> Iterator[None]:
    """Torch's global generator starts where ``generator(*key)`` does, and is put back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(*key))
        yield
