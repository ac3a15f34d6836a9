"""What kind of layer a module is, and how torch packs its parameters."""

from __future__ import annotations

import re
from typing import Literal

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

Kind = Literal["linear", "conv", "recurrent", "embedding", "norm", "bias", "scale", "other"]
LAYERS: tuple[Kind, ...] = ("linear", "conv", "recurrent", "embedding")

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
    if isinstance(module, _ConvNd) and parameter.dim() > 1:
        return module.groups
    return next((gates for cls, gates in _GATES if isinstance(module, cls)), 1)


def _transposed(module: nn.Module, parameter: Tensor) -> bool:
    return isinstance(module, _ConvNd) and parameter.dim() > 1 and module.transposed
