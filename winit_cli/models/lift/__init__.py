"""Many modules of one architecture as one: every layer gets a twin whose parameters have a leading dimension.

S trials in a stack, B batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, cast

from torch import nn

from winit_cli.models.lift.conv import LoopedConv, batched_conv
from winit_cli.models.lift.embedding import StackedEmbedding
from winit_cli.models.lift.linear import StackedLinear
from winit_cli.models.lift.mlp import ACTIVATIONS, StackedMLP
from winit_cli.models.lift.norm import StackedBatchNorm, StackedGroupNorm, StackedLayerNorm, StackedScale
from winit_cli.models.lift.recurrent import LoneLSTM, StackedRecurrent
from winit_cli.models.lift.twin import Run
from winit_cli.models.mlp import MLP
from winit_cli.models.residual import Scale

Twins = dict[type[nn.Module], Callable[[Any, Sequence[Run]], nn.Module]]
COMMON: Twins = {
    nn.Linear: StackedLinear,
    nn.Embedding: StackedEmbedding,
    nn.BatchNorm1d: StackedBatchNorm,
    nn.BatchNorm2d: StackedBatchNorm,
    nn.LayerNorm: StackedLayerNorm,
    nn.GroupNorm: StackedGroupNorm,
    Scale: StackedScale,
    nn.LSTM: StackedRecurrent,
    nn.GRU: StackedRecurrent,
    nn.RNN: StackedRecurrent,
}
LOOPED: Twins = COMMON | {nn.Conv2d: LoopedConv}
BATCHED: Twins = COMMON | {nn.Conv2d: batched_conv}


def lift(models: Sequence[nn.Module], runs: Sequence[Run], *, batched: bool) -> nn.Module:
    """S models of one architecture as one module that maps (S, B, …) to (S, B, …).

    Parameters keep their names and get a leading dimension S. Where neighbours among the trials share their input, it
    may have a row for each of the ``runs`` (start, end) of trials instead, or one for all. Convolutions run trial by
    trial, or ``batched``. The models' forward passes must be written for any number of leading
    dimensions.
    """
    twins = BATCHED if batched else LOOPED
    if type(models[0]) is nn.LSTM and len(models) == 1 and not batched:
        return LoneLSTM(cast("Sequence[nn.LSTM]", models), runs)
    if type(models[0]) in twins:
        return twins[type(models[0])](models, runs)
    lifted = copy.copy(models[0])
    lifted._parameters, lifted._buffers = {}, {}
    lifted._modules = {
        name: lift([model.get_submodule(name) for model in models], runs, batched=batched)
        for name, _ in models[0].named_children()
    }
    if isinstance(lifted, MLP) and lifted.norm == "none" and lifted.activation in ACTIVATIONS:
        return StackedMLP(lifted)
    return lifted


def overwriting(model: nn.Module) -> list[StackedLinear | StackedRecurrent]:
    """The layers of a lifted model that can write gradients over what stands in ``.grad``."""
    return [module for module in model.modules() if isinstance(module, StackedLinear | StackedRecurrent)]


def without_twin(model: nn.Module) -> str | None:
    """The type of the first layer with parameters that has no stacked form; ``None`` if all have one."""
    for module in model.modules():
        if type(module) not in LOOPED and [*module.parameters(recurse=False), *module.buffers(recurse=False)]:
            return type(module).__name__
    return None


def has_loops(model: nn.Module) -> bool:
    """Whether the model has layers that run trial by trial on a processor."""
    return any(isinstance(module, nn.Conv2d) for module in model.modules())
