"""How large the inputs are on which a label trains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from winit_cli.data.dataset import Dataset

EXAMPLES, MEANS = 512, 9  # of the training part, to tell how large inputs are; quantiles, to tell how they differ


@dataclass(frozen=True)
class Inputs:
    """Some training examples of a data set, evenly spread."""

    dataset: Dataset

    @cached_property
    def _rows(self) -> Tensor:
        x = self.dataset.train.x
        return x[:: max(1, len(x) // EXAMPLES)].flatten(1).double()

    @cached_property
    def square(self) -> float:
        """Mean square; 0 for tokens and where it is not a number."""
        found = 0.0 if self.dataset.vocabulary else float(self._rows.square().mean())
        return found if math.isfinite(found) else 0.0

    @cached_property
    def squares(self) -> tuple[float, float]:
        """Between which the mean squares of four in five examples lie."""
        low, high = self._rows.square().mean(1).quantile(torch.tensor([0.1, 0.9], dtype=torch.float64)).tolist()
        return low, high

    @cached_property
    def means(self) -> list[float]:
        """Quantiles of the means of single examples, from the smallest to the largest."""
        quantiles = (torch.arange(MEANS, dtype=torch.float64) + 0.5) / MEANS
        found: list[float] = self._rows.mean(1).quantile(quantiles).tolist()
        return found
