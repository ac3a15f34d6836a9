"""The parameters of a module, with what an initializer must know about each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList

from winit_cli.errors import UsageError
from winit_cli.schemes.branches import Place, branch_places
from winit_cli.schemes.kinds import LAYERS, Kind, _blocks, _kind, _transposed

ROOT = "self"  # the path of a layer that is the whole module


@dataclass(frozen=True)
class Slot:
    """One parameter: ``name`` as in ``named_parameters``, ``local`` as in the module that owns it.

    ``blocks`` is the number of equal parts along the first dimension that are matrices of their own: the
    gates packed into a recurrent weight, the groups of a grouped convolution, the projections of an attention.
    Fans, orthogonality and identities are per block. A ``transposed`` convolution has weights (in, out, …): a block of
    them is seen as (out, in, …), as everywhere else. ``depths`` are the positions of its layer among all layers from 1
    on, in the model's order, and ``places`` those with names: first, head, last. ``ties`` are other names of the same
    parameter, or of parameters that share its memory. A weight with a parametrization
    (``torch.nn.utils.parametrize``) is one slot under the name of the weight: ``originals`` are the parameters behind
    it by name, and ``parameter`` is what they amount to. ``branches`` counts the residual branches of the whole model.
    """

    name: str
    local: str
    parameter: Tensor
    module: nn.Module
    kind: Kind
    blocks: int = 1
    ties: tuple[str, ...] = ()
    originals: tuple[tuple[str, Tensor], ...] = ()
    frozen: bool = False
    transposed: bool = False
    depths: tuple[int, ...] = ()
    places: tuple[str, ...] = ()
    branch: Place | None = None
    branches: int = 0

    @property
    def layer(self) -> str:
        """Path of the module that has it; ``self`` for the whole model."""
        return self.name.rpartition(".")[0] or ROOT

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the whole parameter."""
        return tuple(self.parameter.shape)

    @property
    def block_shape(self) -> tuple[int, ...]:
        """Shape of one block."""
        if not self.shape:
            return ()
        first, *rest = self.shape[0] // self.blocks, *self.shape[1:]
        return (rest[0], first, *rest[1:]) if self.transposed else (first, *rest)

    def views(self) -> tuple[Tensor, ...]:
        """The blocks, as views into the parameter."""
        parts = self.parameter.chunk(self.blocks) if self.blocks > 1 else (self.parameter,)
        return tuple(part.transpose(0, 1) for part in parts) if self.transposed else parts

    def packed(self) -> Slot:
        """The same parameter as one block, as torch lays it out and computes its fans."""
        return replace(self, blocks=1, transposed=False)

    def write(self) -> None:
        """Bring ``parameter`` into the module where that holds it in another form.

        Raises:
            UsageError: the parametrization cannot take a given weight.
        """
        if not self.originals:
            return
        try:
            setattr(self.module, self.local, self.parameter)
        except (NotImplementedError, RuntimeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise UsageError(f"{self.name} has a parametrization that takes no given weight ({reason})") from None


def slots(model: nn.Module) -> list[Slot]:
    """The parameters of a model in the order of ``named_parameters``; a shared one appears once.

    Raises:
        UsageError: a parameter of a lazy module has no shape yet.
    """
    ties = _ties(model)
    found = [slot for slot in _slots(model, ties) if slot.originals or slot.name in ties]
    return _in_branches(_placed(found, [path for path, _ in model.named_modules()]), model)


def _placed(found: Sequence[Slot], modules: Sequence[str]) -> list[Slot]:
    """With their places among the layers: the head is what is called so, or else the last linear or conv layer."""
    kinds = {path: slot.kind for slot in found if slot.kind in LAYERS for path in _paths(slot)}
    depths = {path: depth for depth, path in enumerate((path for path in modules if path in kinds), 1)}
    heads = {depth for path, depth in depths.items() if path.rpartition(".")[2] == "head"}
    outputs = [depth for path, depth in depths.items() if kinds[path] in ("linear", "conv")]
    named = {"first": {1}, "head": heads or set(outputs[-1:]), "last": {len(depths)}}
    placed = []
    for slot in found:
        mine = [depths[path] for path in _paths(slot) if path in depths]
        places = tuple(name for name, at in named.items() if at & set(mine))
        placed.append(replace(slot, depths=tuple(mine), places=places))
    return placed


def _in_branches(found: Sequence[Slot], model: nn.Module) -> list[Slot]:
    """With their places in residual branches."""
    is_layer: dict[str, bool] = {}
    for slot in found:
        for path in _paths(slot):
            is_layer[path] = is_layer.get(path, False) or slot.kind in LAYERS
    places = branch_places(model, is_layer)
    count = max((place.count for place in places.values()), default=0)
    placed = []
    for slot in found:
        branch = next((places[path] for path in _paths(slot) if path in places), None)
        is_scale = branch is not None and branch.scale and slot.kind == "other"
        placed.append(replace(slot, branch=branch, branches=count, kind="scale" if is_scale else slot.kind))
    return placed


def _paths(slot: Slot) -> list[str]:
    """The modules that hold the parameter."""
    return [name.rpartition(".")[0] for name in (slot.name, *slot.ties)]


def _ties(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """The first name of every parameter with the other names of it and of what begins at the same memory."""
    first: dict[int, str] = {}
    ties: dict[str, tuple[str, ...]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if is_lazy(parameter):
            raise UsageError(f"{name} has no shape before a first forward pass; give a batch for one (batch=…)")
        key = parameter.data_ptr() or id(parameter)
        owner = first.setdefault(key, name)
        ties[owner] = (*ties[owner], name) if owner in ties else ()
    return ties


def _slots(model: nn.Module, ties: dict[str, tuple[str, ...]]) -> Iterator[Slot]:
    for prefix, module in model.named_modules():
        if isinstance(module, ParametrizationList):
            yield _parametrized(model, prefix, module)
            continue
        for local, parameter in module.named_parameters(prefix="", recurse=False):
            name = f"{prefix}.{local}" if prefix else local
            kind, blocks = _kind(module, local), _blocks(module, local, parameter)
            others, frozen = ties.get(name, ()), not parameter.requires_grad
            turned = _transposed(module, parameter)
            yield Slot(name, local, parameter, module, kind, blocks, others, frozen=frozen, transposed=turned)


def _parametrized(model: nn.Module, prefix: str, originals: ParametrizationList) -> Slot:
    """``fc.parametrizations.weight`` holds what ``fc.weight`` is computed from."""
    owner, _, local = prefix.rpartition(".parametrizations.")
    if not owner and prefix.startswith("parametrizations."):
        local = prefix.removeprefix("parametrizations.")
    module = model.get_submodule(owner)
    with torch.no_grad():
        was_training = originals.training
        originals.eval()  # reading a spectrally normalized weight in training moves its buffers
        weight = getattr(module, local).detach().clone()
        originals.train(was_training)
    held = list(originals.named_parameters(prefix=prefix, recurse=False))
    name = f"{owner}.{local}" if owner else local
    return Slot(
        name,
        local,
        weight,
        module,
        _kind(module, local),
        _blocks(module, local, weight),
        originals=tuple(held),
        frozen=not all(value.requires_grad for _, value in held),
        transposed=_transposed(module, weight),
    )


__all__ = ["LAYERS", "Kind", "Slot", "slots"]
