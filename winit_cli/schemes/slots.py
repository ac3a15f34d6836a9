"""The parameters of a module, with what an initializer must know about each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

Kind = Literal["linear", "conv", "recurrent", "embedding", "norm", "bias", "other"]
LAYERS: tuple[Kind, ...] = ("linear", "conv", "recurrent", "embedding")

_GATES: tuple[tuple[type[nn.Module], int], ...] = ((nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1))
_KINDS: tuple[tuple[type[nn.Module], Kind], ...] = (
    (nn.Linear, "linear"),
    (_ConvNd, "conv"),
    (nn.RNNBase, "recurrent"),
    (nn.Embedding, "embedding"),
    (_NormBase, "norm"),
    (nn.LayerNorm, "norm"),
    (nn.GroupNorm, "norm"),
)


@dataclass(frozen=True)
class Slot:
    """One parameter: ``name`` as in ``named_parameters``, ``local`` as in the module that owns it.

    ``blocks`` is the number of equal parts along the first dimension that are matrices of their own: the
    gates packed into a recurrent weight, the groups of a grouped convolution. Fans, orthogonality and
    identities are per block.
    """

    name: str
    local: str
    parameter: Tensor
    module: nn.Module
    kind: Kind
    blocks: int = 1

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


def slots(model: nn.Module) -> list[Slot]:
    """The parameters of a model in the order of ``named_parameters``; a shared one appears once."""
    return list(_slots(model))


def _slots(model: nn.Module) -> Iterator[Slot]:
    seen: set[int] = set()
    for prefix, module in model.named_modules():
        for local, parameter in module.named_parameters(prefix="", recurse=False):
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            name = f"{prefix}.{local}" if prefix else local
            yield Slot(name, local, parameter, module, _kind(module, local), _blocks(module, local, parameter))


def _kind(module: nn.Module, local: str) -> Kind:
    kind: Kind = next((kind for cls, kind in _KINDS if isinstance(module, cls)), "other")
    return "bias" if local.startswith("bias") and kind not in ("norm", "other") else kind


def _blocks(module: nn.Module, local: str, parameter: Tensor) -> int:
    if local.startswith("weight_hr"):  # an LSTM's projection, which has no gates
        return 1
    if isinstance(module, _ConvNd) and parameter.dim() > 1 and not module.transposed:
        return module.groups
    return next((gates for cls, gates in _GATES if isinstance(module, cls)), 1)
