"""Embeddings of many trials. S trials in a stack, B batch, T tokens, V rows of a table, D features."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from winit_cli.models.lift.twin import Twin


class StackedEmbedding(Twin):
    """Tokens (S, B, T) → (S, B, T, D), every trial from a table of its own; numbers of rows (T,), which are the same
    for all examples of all trials, → (S, 1, T, D)."""

    def forward(self, x: Tensor) -> Tensor:
        weight = cast(Tensor, self.weight)
        if x.dim() == 1:
            return weight.index_select(1, x).unsqueeze(1)
        tokens = self.spread(x)
        first = torch.arange(self.trials, device=x.device) * weight.shape[1]
        return F.embedding(tokens + first.view(-1, *[1] * (tokens.dim() - 1)), weight.flatten(0, 1))
