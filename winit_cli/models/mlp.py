"""Multilayer perceptron. B batch, D input size, W width, C outputs."""

from __future__ import annotations

import math

from torch import Tensor, nn

from winit_cli.models.norms import Norm, norm_of_features
from winit_cli.models.row import ActivationName, Model, Task, activation_function, refuse_target_steps
from winit_cli.tables import Depth, Flag, PositiveInt
from winit_cli.theory.activations import OUTPUTS


class MLP(nn.Module):
    """``depth`` hidden layers of linear → norm → activation, then a linear head: (…, B, *input) → (…, B, C).

    With crelu, which gives two numbers for every unit, the next layer has 2 W inputs.
    """

    def __init__(
        self, shape: tuple[int, ...], outputs: int, width: int, depth: int, activation: str, norm: Norm, bias: bool
    ) -> None:
        super().__init__()
        passed_on = width * OUTPUTS.get(activation, 1)
        inputs = [math.prod(shape), *[passed_on] * depth]
        self.input_dims, self.activation, self.norm = len(shape), activation, norm
        self.layers = nn.ModuleList(nn.Linear(size, width, bias=bias) for size in inputs[:-1])
        self.norms = nn.ModuleList(norm_of_features(norm, width) for _ in self.layers)
        self.head = nn.Linear(inputs[-1], outputs, bias=bias)
        self._function = activation_function(activation)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(-self.input_dims)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self._function(norm(layer(x)))
        out: Tensor = self.head(x)
        return out


def mlp(
    task: Task,
    *,
    width: PositiveInt = 100,
    depth: Depth = 3,
    activation: ActivationName = "relu",
    norm: Norm = "none",
    bias: Flag = True,
) -> MLP:
    """An MLP on flattened inputs; ``depth`` counts the hidden layers."""
    refuse_target_steps(task, "mlp")
    return MLP(task.input_shape, task.outputs, width, depth, activation, norm, bias)


MODEL = Model("mlp", mlp, "fully connected hidden layers and a linear head; inputs are flattened")
