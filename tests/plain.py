"""Plain PyTorch training, written without winit: what the engine's numbers are compared with.

Only the initial weights and the data are taken from winit. B batch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from winit_cli.data.dataset import Dataset, Part
from winit_cli.models import MODELS, construct
from winit_cli.plan import Trial
from winit_cli.schemes.apply import initialize


@dataclass
class Curve:
    """``points[split, step]`` = (loss, accuracy), ``norms[step]`` by parameter, ``finals`` as in trials.csv."""

    points: dict[tuple[str, int], tuple[float, float | None]] = field(default_factory=dict)
    norms: dict[int, dict[str, float]] = field(default_factory=dict)
    finals: dict[str, float] = field(default_factory=dict)
    first_bad: int | None = None


class PlainMLP(nn.Module):
    def __init__(self, inputs: int, outputs: int, width: int, depth: int, activation: str, norm: str) -> None:
        super().__init__()
        sizes = [inputs, *[width] * depth]
        self.layers = nn.ModuleList([nn.Linear(sizes[i], sizes[i + 1]) for i in range(depth)])
        self.norms = nn.ModuleList([nn.BatchNorm1d(width) for _ in range(depth)] if norm == "batch" else [])
        self.head = nn.Linear(sizes[-1], outputs)
        self.f = nn.Identity() if activation == "linear" else getattr(F, activation)

    def forward(self, x: Tensor) -> Tensor:
        x = x.reshape(len(x), -1)
        for i, layer in enumerate(self.layers):
            x = layer(x)
            x = self.f(self.norms[i](x) if len(self.norms) else x)
        return self.head(x)  # type: ignore[no-any-return]


class PlainCNN(nn.Module):
    def __init__(self, inputs: int, outputs: int, channels: list[int]) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(a, b, 3, padding=1) for a, b in zip([inputs, *channels], channels)])  # noqa: B905
        self.head = nn.Linear(channels[-1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        for i, conv in enumerate(self.convs):
            x = F.relu(conv(x))
            if i + 1 < len(self.convs):
                x = F.max_pool2d(x, 2)
        return self.head(x.flatten(2).mean(2))  # type: ignore[no-any-return]


class PlainRecurrent(nn.Module):
    def __init__(self, kind: str, inputs: int, outputs: int, hidden: int, scored: int) -> None:
        super().__init__()
        self.rnn = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[kind](inputs, hidden, batch_first=True)
        self.head = nn.Linear(hidden, outputs)
        self.scored = scored

    def forward(self, x: Tensor) -> Tensor:
        states = self.rnn(x)[0]
        return self.head(states[:, -self.scored :] if self.scored else states[:, -1])  # type: ignore[no-any-return]


def train(trial: Trial) -> Curve:
    """Train one trial with standard PyTorch."""
    data, settings, steps = trial.setting.dataset, trial.setting.train, trial.setting.steps
    model = _model(trial)
    optimizer, scheduler = _optimizer(model, trial)
    curve = Curve()
    order = _order(trial.seed, len(data.train.x), settings.batch_size, steps + 1)
    parts = {"val": data.val, "test": data.test} if data.val else {"test": data.test}
    for step, index in enumerate(order):
        last = step == steps
        if step % trial.setting.test_every == 0 or last:
            for split, part in parts.items():
                curve.points[split, step] = _evaluate(model, part, data)
        if last:
            head = Part(data.train.x[:5000], data.train.y[:5000])
            curve.finals = {
                f"final_{k}_loss": _evaluate(model, p, data)[0] for k, p in {"train": head, **parts}.items()
            }
            curve.finals["final_test_accuracy"] = curve.points["test", step][1]  # type: ignore[assignment]
        optimizer.zero_grad()
        out = model(data.train.x[index])
        loss = _loss(out, data.train.y[index], data)
        loss.backward()
        norms = {name: p.grad.double().norm().item() for name, p in model.named_parameters() if p.grad is not None}
        if not torch.isfinite(torch.tensor([loss.item(), *norms.values()])).all():
            curve.first_bad = step
            return curve
        if step % trial.setting.every == 0 or last:
            curve.points["train", step] = loss.item(), _accuracy(out, data.train.y[index], data)
            curve.norms[step] = norms
        if settings.clip_norm:
            nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimizer.step()
        scheduler.step()
    return curve


def _model(trial: Trial) -> nn.Module:
    """A plain model with the trial's initial weights."""
    task, entry = trial.setting.task, trial.setting.experiment.model
    started = construct(MODELS[entry.name], task, entry.options, trial.seed)
    initialize(started, trial.entry.recipe, trial.seed)
    options = entry.options
    model: nn.Module
    if entry.name == "mlp":
        inputs = torch.zeros(task.input_shape).numel()
        model = PlainMLP(
            inputs, task.outputs, options["width"], options["depth"], options["activation"], options["norm"]
        )
    elif entry.name == "cnn":
        model = PlainCNN(task.input_shape[0], task.outputs, list(options["channels"]))
    else:
        model = PlainRecurrent(entry.name, task.input_shape[-1], task.outputs, options["hidden"], task.target_steps)
    model.load_state_dict(started.state_dict())
    return model


def _optimizer(model: nn.Module, trial: Trial) -> tuple[torch.optim.Optimizer, Any]:
    t, steps = trial.setting.train, trial.setting.steps
    made: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "sgd": torch.optim.SGD,
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "rmsprop": torch.optim.RMSprop,
    }
    options = {"momentum": t.momentum, "nesterov": t.nesterov, "weight_decay": t.weight_decay, "betas": t.betas}
    kept = {key: value for key, value in options.items() if value is not None}
    optimizer = made[t.optimizer](model.parameters(), lr=trial.lr, **kept)
    schedules = torch.optim.lr_scheduler
    rest = steps - t.warmup
    main = {
        "constant": lambda: schedules.ConstantLR(optimizer, 1.0),
        "linear": lambda: schedules.LinearLR(optimizer, 1.0, 0.0, rest),
        "cosine": lambda: schedules.CosineAnnealingLR(optimizer, rest),
    }[t.schedule]
    if not t.warmup:
        return optimizer, main()
    warm = schedules.LinearLR(optimizer, 1 / t.warmup, 1.0, t.warmup - 1)
    return optimizer, schedules.SequentialLR(optimizer, [warm, main()], [t.warmup])


def _order(seed: int, examples: int, batch: int, count: int) -> list[Tensor]:
    key = hashlib.sha256(f'[{seed}, "order"]'.encode()).digest()[:4]
    source = torch.Generator().manual_seed(int(key.hex(), 16))
    assert json.dumps((seed, "order")) == f'[{seed}, "order"]'
    taken: list[Tensor] = []
    while len(taken) < count:
        shuffled = torch.randperm(examples, generator=source)
        taken += [shuffled[i : i + batch] for i in range(0, examples - batch + 1, batch)]
    return taken[:count]


def _evaluate(model: nn.Module, part: Part, data: Dataset) -> tuple[float, float | None]:
    model.eval()
    with torch.no_grad():
        out = model(part.x)
        result = _loss(out, part.y, data).item(), _accuracy(out, part.y, data)
    model.train()
    return result


def _loss(out: Tensor, y: Tensor, data: Dataset) -> Tensor:
    if data.task == "regression":
        return ((out - y) ** 2).mean()
    return -F.log_softmax(out, dim=-1).gather(-1, y.unsqueeze(-1)).mean()


def _accuracy(out: Tensor, y: Tensor, data: Dataset) -> float | None:
    return None if data.task == "regression" else int((out.max(dim=-1).indices == y).sum()) / y.numel()
