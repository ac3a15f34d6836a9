"""A trial that goes on from a checkpoint yields what it would have yielded: every model, every optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from small import plan_of
from torch import nn

from winit_cli.engine.checkpoint import TrialState, pack, unpack
from winit_cli.engine.records import Checkpoint, Chunk, Finished, Started
from winit_cli.engine.serial import train_trial
from winit_cli.plan import Plan
from winit_cli.plugins import plugged

RECALL = "data={name: recall, lag: 4, symbols: 3, train_size: 40, test_size: 20}"
IMAGES = "data={name: digits, train_size: 60, test_size: 30}"
MODELS = {
    "mlp": (),
    "mlp with batch norm": ("model.norm=batch",),
    "mlp with layer norm": ("model.norm=layer", "model.activation=tanh"),
    "cnn": ("model={name: cnn, channels: [3, 4], norm: batch}", IMAGES),
    "lstm": ("model={name: lstm, hidden: 6, layers: 2}", RECALL),
    "gru": ("model={name: gru, hidden: 6}", RECALL),
    "rnn": ("model={name: rnn, hidden: 6}", RECALL),
}
TRAINED = {
    "sgd": "train={lr: 0.1, batch_size: 8, steps: 14}",
    "momentum": "train={lr: 0.1, batch_size: 8, steps: 14, momentum: 0.9, weight_decay: 0.01, schedule: cosine}",
    "nesterov": "train={lr: 0.1, batch_size: 8, steps: 14, momentum: 0.9, nesterov: true}",
    "adam": "train={lr: 0.01, batch_size: 8, steps: 14, optimizer: adam, warmup: 5}",
    "adamw": "train={lr: 0.01, batch_size: 8, steps: 14, optimizer: adamw, clip_norm: 0.5}",
    "rmsprop": "train={lr: 0.01, batch_size: 8, steps: 14, optimizer: rmsprop, momentum: 0.9}",
}
KINDS = {
    "dropout and batch norm": "self.net = nn.Sequential(nn.Linear(in_features, 6), nn.BatchNorm1d(6), nn.Dropout(0.3),"
    " nn.ReLU(), nn.Linear(6, num_classes))",
    "weight norm": "self.net = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(in_features, 6)),"
    " nn.Linear(6, num_classes))",
    "spectral norm": "self.net = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(in_features, 6)),"
    " nn.Linear(6, num_classes))",
    "a lambda": "self.act = lambda x: x.relu(); self.lin = nn.Linear(in_features, num_classes);"
    " self.net = lambda x: self.lin(self.act(x))",
    "frozen layers": "self.net = nn.Sequential(nn.Linear(in_features, 6), nn.Linear(6, num_classes));"
    " self.net[0].weight.requires_grad_(False)",
}
Records = list[Started | Chunk | Finished]


def whole(plan: Plan, **more: Any) -> Records:
    """What the first trial yields."""
    trial = plan.trials[0]
    return list(train_trial(trial, trial.setting.dataset, **more))


def measured(records: Records) -> tuple[Any, ...]:
    """Points, norms and the end; chunks may be cut elsewhere."""
    chunks = [record for record in records if isinstance(record, Chunk)]
    (end,) = [record for record in records if isinstance(record, Finished)]
    finals = (end.status, end.outcome, end.train_loss, end.test_loss, end.test_accuracy, end.units.tobytes())
    return [p for c in chunks for p in c.points], [n for c in chunks for n in c.norms], finals


def resumed(plan: Plan, at: int) -> Records:
    """What the first trial yields if it is dropped after update ``at`` and goes on from the checkpoint."""
    calls = iter(range(1, 1000))
    before: Records = []
    trial = plan.trials[0]
    records = train_trial(trial, trial.setting.dataset, None, lambda: next(calls) == at)
    checkpoint = None
    for record in records:
        before.append(record)
        if isinstance(record, Chunk) and record.checkpoint is not None:
            checkpoint = record.checkpoint
            break
    records.close()  # type: ignore[attr-defined]
    assert checkpoint is not None and checkpoint.step == at
    torch.manual_seed(at)  # another process has another state
    return before + [record for record in whole(plan, checkpoint=checkpoint) if not isinstance(record, Started)]


def _every_pair() -> Iterator[Any]:
    """Every model with every optimizer; optimizers see tensors whatever the model is, so all of them with the first
    model and two of them with the others are fast."""
    for model, settings in MODELS.items():
        for name, train in TRAINED.items():
            is_fast = model == next(iter(MODELS)) or name in ("momentum", "adam")
            yield pytest.param(settings, train, marks=() if is_fast else pytest.mark.slow, id=f"{model}-{name}")


@pytest.mark.parametrize(("model", "train"), list(_every_pair()))
def test_a_trial_goes_on_to_the_same_bits(model: tuple[str, ...], train: str) -> None:
    plan = plan_of(*model, train)
    wanted = measured(whole(plan))
    for at in (1, 6, 13):
        assert measured(resumed(plan, at)) == wanted


@pytest.fixture
def own_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """A file with a network made from one of the bodies."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text("import torch\nfrom torch import nn\n" + request.param)
    with plugged([], "net.py:Net", None):
        yield "model={name: 'net.py:Net'}"


def body(made: str, forward: str = "return self.net(x)") -> str:
    """The text of a network."""
    return (
        "class Net(nn.Module):\n    def __init__(self, in_features, num_classes):\n        super().__init__()\n"
        f"        {made}\n        self.calls = 0\n    def forward(self, x):\n        {forward}\n"
    )


@pytest.mark.parametrize("own_net", [body(made) for made in KINDS.values()], ids=KINDS, indirect=True)
@pytest.mark.parametrize("train", [TRAINED["momentum"], TRAINED["adam"]], ids=["momentum", "adam"])
def test_a_users_network_goes_on_to_the_same_bits(own_net: str, train: str) -> None:
    plan = plan_of(own_net, train, "schemes=[{scheme: as_built}]")
    wanted = measured(whole(plan))
    for at in (1, 9):
        assert measured(resumed(plan, at)) == wanted


COUNTING = body("self.net = nn.Linear(in_features, num_classes)", "self.calls += 1; return self.net(x) / self.calls")


@pytest.mark.parametrize("own_net", [COUNTING], ids=["counter"], indirect=True)
def test_a_network_that_keeps_more_than_tensors_starts_over(own_net: str) -> None:
    chunks = [r for r in whole(plan_of(own_net), is_due=lambda: True) if isinstance(r, Chunk)]
    assert len(chunks) == 7 and all(chunk.checkpoint is None for chunk in chunks)


def test_a_diverged_trial_has_no_checkpoint_with_what_diverged() -> None:
    plan = plan_of("train={lr: 1e30, batch_size: 8, steps: 14}")
    chunks = [r for r in whole(plan, is_due=lambda: True) if isinstance(r, Chunk)]
    assert chunks[-1].checkpoint is None
    assert measured(whole(plan)) == measured(whole(plan, is_due=lambda: True))


def test_the_reference_of_learned_is_the_loss_before_the_first_update() -> None:
    plan = plan_of()
    (first,) = [r for r in whole(plan, is_due=iter([False, False, True, *[False] * 9]).__next__) if _has(r)]
    assert isinstance(first, Chunk) and first.checkpoint is not None
    before = {packed.name: unpack(packed) for packed in first.checkpoint.arrays}["loss at step 0"]
    step0 = [p for r in whole(plan) if isinstance(r, Chunk) for p in r.points if (p.step, p.split) == (0, "train")]
    assert before.item() == step0[0].loss


def _has(record: object) -> bool:
    return isinstance(record, Chunk) and record.checkpoint is not None


TENSORS = {
    "scalar": torch.tensor(1.5),
    "empty": torch.empty(0, 3),
    "transposed": torch.arange(6.0).view(2, 3).t(),
    "half": torch.arange(4).to(torch.bfloat16),
    "integers": torch.tensor(7),
    "channels last": torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).to(
        memory_format=torch.channels_last
    ),
    "complex": torch.tensor([1 + 2j]),
    "not finite": torch.tensor([float("nan"), float("inf"), -0.0]),
}


@pytest.mark.parametrize("tensor", TENSORS.values(), ids=TENSORS)
def test_tensors_come_back_with_their_layout(tensor: torch.Tensor) -> None:
    again = unpack(pack("x", tensor))
    assert again.dtype == tensor.dtype and again.shape == tensor.shape
    assert again.numel() == 0 or again.stride() == tensor.stride()
    assert pack("x", again) == pack("x", tensor)


def test_a_buffer_that_grew_is_replaced() -> None:
    def model() -> nn.Module:
        made = nn.Linear(2, 2)
        made.register_buffer("seen", torch.zeros(1), persistent=False)
        return made

    one, two = model(), model()
    one.seen = torch.arange(3.0)
    checkpoint = _state(one).take(1, torch.tensor(0.5))
    assert isinstance(checkpoint, Checkpoint)
    assert _state(two).restore(checkpoint).item() == 0.5
    assert torch.equal(two.seen, one.seen) and torch.equal(two.weight, one.weight)


def _state(model: nn.Module) -> TrialState:
    trained = list(model.parameters())
    return TrialState(model, trained, torch.optim.SGD(trained, 0.1))
