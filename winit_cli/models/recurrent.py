"""Recurrent networks. B batch, T time, D features, H hidden, C outputs, K steps with a target."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from winit_cli.errors import UsageError
from winit_cli.models.row import Model, Task, refuse_tokens
from winit_cli.tables import Layers, PositiveInt


class Recurrent(nn.Module):
    """A recurrent net and a linear head on its last state: (…, B, T, D) → (…, B, C), or on the last K: (…, B, K, C).

    Images (…, B, channels, height, width) are read row by row: T = height, D = channels · width.
    """

    def __init__(self, rnn: nn.RNNBase, task: Task) -> None:
        super().__init__()
        self.rnn = rnn
        self.head = nn.Linear(rnn.hidden_size, task.outputs)
        self.target_steps = task.target_steps
        self._reads_images = len(task.input_shape) == 3

    def forward(self, x: Tensor) -> Tensor:
        if self._reads_images:
            x = x.transpose(-3, -2).flatten(-2)
        states, _ = self.rnn(x)
        wanted = states[..., -self.target_steps :, :] if self.target_steps else states[..., -1, :]
        out: Tensor = self.head(wanted)
        return out


def _features(task: Task, model: str) -> int:
    """D, the size of one time step.

    Raises:
        UsageError: the inputs are neither sequences nor images.
    """
    refuse_tokens(task, model)
    shape = task.input_shape
    if len(shape) == 2:
        return shape[1]
    if len(shape) == 3:
        return shape[0] * shape[2]
    raise UsageError(
        f"{model} needs sequences (time, features) or images, the data has {task.described()}; use model: mlp"
    )


def lstm(task: Task, *, hidden: PositiveInt = 64, layers: Layers = 1) -> Recurrent:
    """Long short-term memory (Hochreiter & Schmidhuber 1997), gates i, f, g, o."""
    rnn = nn.LSTM(_features(task, "lstm"), hidden, layers, batch_first=True)
    return Recurrent(rnn, task)


def gru(task: Task, *, hidden: PositiveInt = 64, layers: Layers = 1) -> Recurrent:
    """Gated recurrent unit (Cho et al. 2014), gates r, z, n."""
    rnn = nn.GRU(_features(task, "gru"), hidden, layers, batch_first=True)
    return Recurrent(rnn, task)


def rnn(
    task: Task,
    *,
    hidden: PositiveInt = 64,
    layers: Layers = 1,
    nonlinearity: Literal["tanh", "relu"] = "tanh",
) -> Recurrent:
    """Elman network (Elman 1990)."""
    net = nn.RNN(_features(task, "rnn"), hidden, layers, nonlinearity=nonlinearity, batch_first=True)
    return Recurrent(net, task)


MODELS = (
    Model(
        "lstm",
        lstm,
        "long short-term memory, the last state into a linear head; images row by row",
        activation=lambda options: "tanh",
    ),
    Model(
        "gru",
        gru,
        "gated recurrent unit, the last state into a linear head; images row by row",
        activation=lambda options: "tanh",
    ),
    Model(
        "rnn",
        rnn,
        "plain recurrent net (tanh or relu), the last state into a linear head; images row by row",
        activation=lambda options: str(options["nonlinearity"]),
    ),
)
