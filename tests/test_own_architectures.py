"""Networks that people bring: residual, attention, recurrent, lazy ones; every scheme fills them, and they train."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import winit_cli as winit
from winit_cli.data import vision

DRAWS = np.random.default_rng(0)
IMAGES = DRAWS.normal(size=(60, 3, 8, 8))
SERIES = DRAWS.normal(size=(60, 7, 3)).cumsum(axis=1)
TOKENS = DRAWS.integers(0, 9, size=(60, 6))
LABELS = np.arange(60) % 3


class Patches(nn.Module):
    """A vision transformer: patches, a class token, positions, an encoder with dropout."""

    def __init__(self, in_channels: int, num_classes: int, width: int = 8) -> None:
        super().__init__()
        self.cut = nn.Conv2d(in_channels, width, 4, stride=4)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, 5, width) * 0.02)
        layer = nn.TransformerEncoderLayer(width, 2, 16, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.cut(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), patches], dim=1) + self.positions
        out: Tensor = self.head(self.encoder(x)[:, 0])
        return out


class Words(nn.Module):
    """Tokens into an embedding, an encoder, and a head on the mean over the steps."""

    def __init__(self, vocab_size: int, num_classes: int, width: int = 6) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        layer = nn.TransformerEncoderLayer(width, 2, 8, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.encoder(self.embedding(x)).mean(dim=1))
        return out


class Forecast(nn.Module):
    """Two layers of an LSTM with dropout between them, and a head on the last state."""

    def __init__(self, input_size: int, output_size: int, hidden: int = 6) -> None:
        super().__init__()
        self.rnn = nn.LSTM(input_size, hidden, 2, dropout=0.3, batch_first=True)
        self.head = nn.Linear(hidden, output_size)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.rnn(x)[0][:, -1])
        return out


class Lazy(nn.Module):
    """Layers that learn their input sizes from the first batch, in containers, with batch norm."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.LazyConv2d(4, 3)
        self.blocks = nn.ModuleList(nn.Sequential(nn.LazyBatchNorm2d(), nn.ReLU()) for _ in range(2))
        self.head = nn.LazyLinear(num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        out: Tensor = self.head(x.flatten(1))
        return out


class Residual(nn.Module):
    """Group and depthwise convolutions, spectral and weight normalization, skip connections."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.utils.parametrizations.weight_norm(nn.Conv2d(in_channels, 4, 3, padding=1))
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.PReLU()
        self.head = nn.utils.parametrizations.spectral_norm(nn.Linear(4, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.act(self.norm(self.depthwise(x)))
        out: Tensor = self.head(x.mean(dim=(2, 3)))
        return out


NETS: dict[str, tuple[Any, Any]] = {
    "patches": (Patches, winit.dataset(IMAGES, LABELS)),
    "words": (Words, winit.dataset(TOKENS, LABELS, tokens=True)),
    "forecast": (Forecast, winit.dataset(SERIES, SERIES[:, -1, :2] ** 2)),
    "lazy": (Lazy, winit.dataset(IMAGES, LABELS)),
    "residual": (Residual, winit.dataset(IMAGES, LABELS)),
}
SCHEMES = [
    "as_built",
    "pytorch_default",
    *({"scheme": name, "others": "as_built"} for name in ("kaiming_normal", "orthogonal", "xavier_uniform")),
]


def trained(model: Any, data: Any, folder: Path) -> winit.Comparison:
    schemes = [entry if entry == "as_built" else _keeping(entry) for entry in SCHEMES]
    small = {"batch_size": 16, "optimizer": "adam", "clip_norm": 1.0}
    return winit.compare(
        model, data, schemes, seeds=2, steps=3, lr=0.01, train=small, results=folder, progress=False, fresh=True
    )


def _keeping(entry: Any) -> dict[str, Any]:
    return {"scheme": entry, "others": "as_built"} if isinstance(entry, str) else entry


@pytest.mark.parametrize("name", list(NETS))
def test_it_trains_from_every_scheme_and_replays(name: str, tmp_path: Path) -> None:
    model, data = NETS[name]
    found, again = (trained(model, data, tmp_path / part) for part in ("one", "two"))
    assert set(found.trials["status"]) == {"ok"}, found.trials
    assert found.curves.equals(again.curves) and found.gradients.equals(again.gradients)
    assert (found.gradients.groupby("param")["grad_norm"].max() > 0).all()
    weights = found.init[found.init["fan_in"].notna() & (found.init["label"] != "as_built")]
    measured = weights[weights["expected_std"].notna()]
    assert len(measured) and (abs(measured["std"] / measured["expected_std"] - 1) < 0.5).all()
    for label, other in (("as_built", "kaiming_normal"), ("orthogonal", "xavier_uniform")):
        hashes = [found.trials.query(f"label == '{one}'")["init_hash"].tolist() for one in (label, other)]
        assert not set(hashes[0]) & set(hashes[1])


@pytest.mark.slow
def test_a_resnet_of_torchvision(tmp_path: Path) -> None:
    if not vision.installed():
        pytest.skip("torchvision is not installed")
    vision.prepare()
    from torchvision.models import resnet18

    def net(num_classes: int) -> nn.Module:
        return resnet18(num_classes=num_classes)

    data = winit.dataset(DRAWS.normal(size=(60, 3, 32, 32)), LABELS)
    found = trained(net, data, tmp_path)
    assert set(found.trials["status"]) == {"ok"}
    init = found.init.query("label == 'kaiming_normal' and seed == 0").set_index("param")
    assert init.loc["layer4.1.conv2.weight", "fan_in"] == 512 * 9
    assert init.loc["bn1.weight", "rule"] == "norm layer's own" and init.loc["fc.bias", "scheme"] == "zeros"
    assert found.run.weights[0] == "conv1.weight" and found.run.weights[-1] == "fc.weight"
