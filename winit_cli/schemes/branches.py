"""Which parameters lie in the residual branches of a model: x + branch(x).

A module with a child called ``branch`` is a residual block, and its child ``scale``, if it has one, multiplies the
branch. Others are known by their class. What goes around the branch is multiplied by ``skip_scale``, if a block has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

ATTENTION = ("query", "key", "value")  # layers side by side, which are one layer of the branch
HEADS = ("heads", "num_heads")  # what an attention calls the number of its heads
# classes of residual blocks, with the children of each of their branches in the order in which they are called; the
# norms of torch's transformer layers stand before a branch or behind the sum
KNOWN = {
    "torch.nn.modules.transformer.TransformerEncoderLayer": (("self_attn",), ("linear1", "linear2")),
    "torch.nn.modules.transformer.TransformerDecoderLayer": (
        ("self_attn",),
        ("multihead_attn",),
        ("linear1", "linear2"),
    ),
    "torchvision.models.resnet.BasicBlock": (("conv1", "bn1", "conv2", "bn2"),),
    "torchvision.models.resnet.Bottleneck": (("conv1", "bn1", "conv2", "bn2", "conv3", "bn3"),),
}


@dataclass(frozen=True)
class Place:
    """Where a module stands: in the ``number``-th of ``count`` residual branches, after ``before`` of its layers. The
    layers that end the branch are ``last``, and so is a norm behind them. ``length`` counts the layers of the branch. A
    ``scale`` multiplies the branch, ``skip`` what goes around it. ``heads`` are those of the attention that the layer
    is part of, 0 elsewhere."""

    number: int
    count: int
    length: int
    before: int
    last: bool = False
    scale: bool = False
    skip: float = 1.0
    heads: int = 0


def branch_places(model: nn.Module, is_layer: dict[str, bool]) -> dict[str, Place]:
    """The modules with parameters in residual branches, by path; ``is_layer`` says of the paths of all modules with
    parameters whether they are layers with weights (or else norms and the like)."""
    found = list(_branches(model))
    places: dict[str, Place] = {}
    for number, (block, scale, parts) in enumerate(found, 1):
        inside = [path for part in parts for path in is_layer if path == part or path.startswith(f"{part}.")]
        stages = _stages([path for path in inside if is_layer[path]])
        end = max((place for place, path in enumerate(inside) if is_layer[path]), default=-1)
        behind = [path for path in inside[end + 1 :] if not is_layer[path]]
        length, count = max(stages.values(), default=0), len(found)
        skip = float(getattr(block, "skip_scale", 1.0))
        for path in inside:
            last = stages[path] == length if is_layer[path] else path in behind[-1:]
            before, heads = stages.get(path, 1) - 1, _heads(model, path)
            places[path] = Place(number, count, length, before, last=last, skip=skip, heads=heads)
        places |= {path: Place(number, count, length, length, scale=True) for path in scale}
    return places


def _branches(model: nn.Module) -> Iterator[tuple[nn.Module, list[str], list[str]]]:
    """The block, the paths of what multiplies a branch, and those of the parts of the branch, for every branch."""
    for path, module in model.named_modules():
        prefix = f"{path}." if path else ""
        children = dict(module.named_children())
        known = next((KNOWN[name] for name in map(_name, type(module).__mro__) if name in KNOWN), ())
        for parts in known:
            yield module, [], [prefix + part for part in parts]
        if not known and "branch" in children:
            yield module, [f"{prefix}scale"] if "scale" in children else [], [f"{prefix}branch"]


def _heads(model: nn.Module, path: str) -> int:
    """Of the attention at a path or around it."""
    around = [model.get_submodule(place) for place in (path, path.rpartition(".")[0])]
    attends = [m for m in around if isinstance(m, nn.MultiheadAttention) or all(hasattr(m, n) for n in ATTENTION)]
    return next((int(getattr(module, name)) for module in attends for name in HEADS if hasattr(module, name)), 0)


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _stages(layers: list[str]) -> dict[str, int]:
    """The position of each layer of a branch from 1 on; attention's projections share one."""
    stages: dict[str, int] = {}
    stage, beside = 0, ""
    for path in layers:
        owner, _, name = path.rpartition(".")
        if name not in ATTENTION or owner != beside:
            stage += 1
        beside = owner if name in ATTENTION else ""
        stages[path] = stage
    return stages
