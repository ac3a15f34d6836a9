"""The parameters of a module, with what an initializer must know about each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList

from winit_cli.errors import UsageError

Kind = Literal["linear", "conv", "recurrent", "embedding", "norm", "bias", "other"]
LAYERS: tuple[Kind, ...] = ("linear", "conv", "recurrent", "embedding")
ROOT = "self"  # the path of a layer that is the whole module

_GATES: tuple[tuple[type[nn.Module], int], ...] = (
    (nn.LSTM, 4),
    (nn.LSTMCell, 4),
    (nn.GRU, 3),
    (nn.GRUCell, 3),
)
_KINDS: tuple[tuple[type[nn.Module], Kind], ...] = (
    (nn.Linear, "linear"),
    (nn.MultiheadAttention, "linear"),
    (_ConvNd, "conv"),
    (nn.RNNBase, "recurrent"),
    (nn.RNNCellBase, "recurrent"),
    (nn.Embedding, "embedding"),
    (nn.EmbeddingBag, "embedding"),
    (_NormBase, "norm"),
    (nn.LayerNorm, "norm"),
    (nn.GroupNorm, "norm"),
    (nn.RMSNorm, "norm"),
    (nn.PReLU, "norm"),  # one learned factor with a fixed start, as norm layers have
)
# what torch's layers call their weights and biases; a layer made from one of them may have more
_TORCHS_OWN = re.compile(r"(weight|bias)(_(ih|hh|hr)(_l\d+(_reverse)?)?)?|(in|q|k|v)_proj_weight|in_proj_bias")
_PACKED_ATTENTION = ("in_proj_weight", "in_proj_bias")  # the projections to queries, keys and values


@dataclass(frozen=True)
class Slot:
    """One parameter: ``name`` as in ``named_parameters``, ``local`` as in the module that owns it.

    ``blocks`` is the number of equal parts along the first dimension that are matrices of their own: the
    gates packed into a recurrent weight, the groups of a grouped convolution, the projections of an attention.
    Fans, orthogonality and identities are per block. ``ties`` are other names of the same parameter, or of
    parameters that share its memory. A weight with a parametrization (``torch.nn.utils.parametrize``) is one slot
    under the name of the weight: ``originals`` are the parameters behind it by name, and ``parameter`` is what they
    amount to.
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
        return (self.shape[0] // self.blocks, *self.shape[1:]) if self.shape else ()

    def views(self) -> tuple[Tensor, ...]:
        """The blocks, as views into the parameter."""
        return self.parameter.chunk(self.blocks) if self.blocks > 1 else (self.parameter,)

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
    return [slot for slot in _slots(model, ties) if slot.originals or slot.name in ties]


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
            yield Slot(name, local, parameter, module, kind, blocks, ties=others, frozen=frozen)


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
    )


def _kind(module: nn.Module, local: str) -> Kind:
    kind: Kind = next((kind for cls, kind in _KINDS if isinstance(module, cls)), "other")
    if kind in ("norm", "other") or not _TORCHS_OWN.fullmatch(local):
        return "norm" if kind == "norm" else "other"
    return "bias" if "bias" in local else kind


def _blocks(module: nn.Module, local: str, parameter: Tensor) -> int:
    if local.startswith("weight_hr"):  # an LSTM's projection, which has no gates
        return 1
    if isinstance(module, nn.MultiheadAttention):
        return 3 if local in _PACKED_ATTENTION else 1
    if isinstance(module, _ConvNd) and parameter.dim() > 1 and not module.transposed:
        return module.groups
    return next((gates for cls, gates in _GATES if isinstance(module, cls)), 1)
