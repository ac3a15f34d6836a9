"""The loops that winit is measured against, written as people write them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from winit_cli.bench.cases import CLASSES, KERNEL, SIDE, Case
from winit_cli.bench.machine import seconds_of
from winit_cli.bench.pace import EVERY
from winit_cli.data.dataset import Part
from winit_cli.data.vision import import_torchvision

LR = 0.05
MEAN, DEVIATION = 0.1307, 0.3081  # of MNIST's pixels, as torchvision's examples normalize them
Batches = Iterator[tuple[Tensor, Tensor]]


class _Rows(nn.Module):
    """Reads an image row by row."""

    def __init__(self, kind: Callable[..., nn.Module], hidden: int) -> None:
        super().__init__()
        self.cells = kind(SIDE, hidden, batch_first=True)
        self.head = nn.Linear(hidden, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.cells(x.flatten(1, 2))[0][:, -1])
        return out


def plain_model(case: Case) -> nn.Module:
    """The network of a case in torch's own modules, with torch's initialization."""
    if case.model == "mlp":
        sizes = [SIDE * SIDE, *[case.options["width"]] * case.options["depth"]]
        hidden = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
        return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(sizes[-1], CLASSES))
    if case.model == "cnn":
        layers: list[nn.Module] = []
        for a, b in pairwise([1, *case.options["channels"]]):
            layers += [nn.Conv2d(a, b, KERNEL, padding=KERNEL // 2), nn.ReLU(), nn.MaxPool2d(2)]
        channels = case.options["channels"][-1]
        return nn.Sequential(*layers[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES))
    return _Rows({"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[case.model], case.options["hidden"])


class _Images(TorchDataset[tuple[Tensor, int]]):
    """Images on the host with their transforms, as torchvision's data sets give them."""

    def __init__(self, part: Part) -> None:
        import_torchvision()
        transforms: Any = importlib.import_module("torchvision.transforms")
        image: Any = importlib.import_module("PIL.Image")
        low, high = part.x.min(), part.x.max()
        pixels = ((part.x - low) / (high - low) * 255).round().to(torch.uint8).reshape(-1, SIDE, SIDE).cpu()
        self.images = [image.fromarray(one.numpy()) for one in pixels]
        self.targets = part.y.tolist()
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((MEAN,), (DEVIATION,))])

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), self.targets[index]


class Script:
    """A plain script: ``DataLoader``, torchvision transforms, the loss read at every step."""

    def __init__(self, case: Case, part: Part, device: str) -> None:
        self.model, self.device = plain_model(case).to(device), device
        loader = DataLoader(_Images(part), batch_size=case.batch_size, shuffle=True, drop_last=True)
        self.batches = _loaded(loader, device)

    def seconds(self, steps: int) -> float:
        """Wall time of so many steps."""
        return seconds_of(lambda: train(self.model, self.batches, steps, reads_loss=True), self.device)


class Tuned:
    """A careful script: all data in memory, batches by index, nothing read that is not recorded."""

    def __init__(self, case: Case, part: Part, device: str) -> None:
        self.model, self.device = plain_model(case).to(device), device
        self.batches = _indexed(part.x.to(device), part.y.to(device), case.batch_size)

    def seconds(self, steps: int) -> float:
        """Wall time of so many steps."""
        return seconds_of(lambda: train(self.model, self.batches, steps, reads_loss=False), self.device)


def _loaded(loader: DataLoader[tuple[Tensor, int]], device: str) -> Batches:
    while True:
        for x, y in loader:
            yield x.to(device), y.to(device)


def _indexed(x: Tensor, y: Tensor, size: int) -> Batches:
    while True:
        order = torch.randperm(len(x), device=x.device)
        for start in range(0, len(order) - size + 1, size):
            index = order[start : start + size]
            yield x[index], y[index]


def train(model: nn.Module, batches: Batches, steps: int, *, reads_loss: bool) -> list[float]:
    """So many updates; every tenth records the loss and the gradient norm of each parameter. Returns the losses read.

    ``reads_loss`` reads the loss of every update.
    """
    parameters = list(model.parameters())
    optimizer = torch.optim.SGD(parameters, LR)
    losses, norms = [], []
    for step in range(steps):
        x, y = next(batches)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()  # type: ignore[no-untyped-call]
        if step % EVERY == 0:
            norms.append([p.grad.norm().item() for p in parameters if p.grad is not None])
        if reads_loss or step % EVERY == 0:
            losses.append(loss.item())
        optimizer.step()
    return losses
