"""How trials are divided into stacks: a rule over sizes, threads and a fixed budget of memory.

S trials in a stack, B batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from winit_cli.models.lift import has_loops
from winit_cli.plan import Trial
from winit_cli.setting import Setting

ON_CPU, ON_GPU = 8, 256  # trials of a stack; more gained nothing, and take memory
LOOPED = 1  # trials of a stack on a processor whose layers run trial by trial: one trial fits its cache best
COPIES = 6  # of the weights: themselves, gradients, two states of an optimizer, and temporaries
KEPT = 4  # numbers kept for the backward pass by each output of a layer
EXAMPLES = 2  # that go through a model to count its outputs
QUICK = 2**28  # bytes of weights that examples go through faster than torch imports its compiler


def divide(trials: Sequence[Trial], missing: Sequence[int], memory: int, workers: int) -> list[list[int]]:
    """Stacks of positions among ``trials``: of one setting each, seeds together, equal learning rates adjacent.

    ``memory`` in bytes is the budget of all ``workers`` that train stacks side by side.
    """
    by_setting: dict[int, list[int]] = {}
    for position in missing:
        by_setting.setdefault(id(trials[position].setting), []).append(position)
    stacks = []
    for positions in by_setting.values():
        if trials[positions[0]].setting.engine == "serial":
            stacks += [[position] for position in positions]
            continue
        positions.sort(key=lambda position: (trials[position].seed, position))
        largest = largest_stack(trials[positions[0]].setting, memory // workers)
        for stack in _even(positions, largest, workers):
            stacks.append(sorted(stack, key=lambda position: trials[position].lr))
    return stacks


def largest_stack(setting: Setting, memory: int) -> int:
    """How many trials of a setting one stack may have within so many bytes, at least one."""
    with torch.device("meta"):
        model = setting.model.build(setting.task, **setting.experiment.model.options)
    is_cpu = torch.device(setting.device).type == "cpu"
    preferred = (LOOPED if has_loops(model) else ON_CPU) if is_cpu else ON_GPU
    return max(1, min(preferred, memory // bytes_of(setting, model)))


def bytes_of(setting: Setting, model: nn.Module) -> int:
    """Memory that one trial of a stack takes, estimated from the sizes of a model on the meta device.

    Two examples go through a small model in memory that nothing has written to, which it leaves the meta device for:
    there torch imports its compiler first.
    """
    outputs, is_cpu = 0, torch.device(setting.device).type == "cpu"

    def count(module: nn.Module, _: object, out: Tensor | tuple[Tensor, object]) -> None:
        nonlocal outputs
        first = out[0] if isinstance(out, tuple) else out
        gates = {"LSTM": 8, "GRU": 6}.get(type(module).__name__, 2)
        outputs += first.numel() * (gates if isinstance(module, nn.RNNBase) else 1)
        if isinstance(module, nn.Conv2d) and not is_cpu:  # the windows that meet the weights, and their gradients
            outputs += 2 * first.numel() // module.out_channels * module.weight[0].numel() // KEPT

    for module in model.modules():
        if not [*module.children()]:
            module.register_forward_hook(count)
    like = model.state_dict()
    is_quick = sum(kept.nbytes for kept in like.values()) <= QUICK
    if is_quick:
        model.load_state_dict({n: torch.empty(kept.shape, dtype=kept.dtype) for n, kept in like.items()}, assign=True)
    x = torch.zeros(EXAMPLES, *setting.task.input_shape, device="cpu" if is_quick else "meta")
    with torch.no_grad():
        model.eval()(x)
    weights = sum(math.prod(slot.shape) for slot in setting.rehearsal.slots)
    of_one = (KEPT * outputs + 2 * x.numel()) // EXAMPLES
    return 4 * (COPIES * weights + of_one * max(setting.train.batch_size, 2))


def _even(positions: list[int], largest: int, workers: int) -> list[list[int]]:
    """Parts of nearly equal size, as many for each worker if that is possible."""
    parts = math.ceil(len(positions) / largest)
    parts = min(len(positions), math.ceil(parts / workers) * workers)
    bounds = [round(i * len(positions) / parts) for i in range(parts + 1)]
    return [positions[a:b] for a, b in pairwise(bounds)]
