"""How long a recurrent layer remembers: its gradient against time, its gates, and the half-life of what it keeps.

B examples, T steps, H units.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from winit_cli.criteria import CLOSED, OPEN
from winit_cli.probe.layers import Layer
from winit_cli.probe.measured import Row, lag_metric

_KEEPING = {"LSTM": "forget", "GRU": "update"}  # the gate that says how much of the state is kept


@dataclass(frozen=True)
class Memory:
    """``gates`` holds arrays (T·B, H) of each gate, one for each layer and way of reading. ``norms`` are those of the
    gradient with respect to the state by lag: how many steps before the last one; empty where it was not followed."""

    gates: dict[str, list[Tensor]] = field(default_factory=dict)
    norms: dict[int, float] = field(default_factory=dict)

    @property
    def last_lag(self) -> int:
        """The largest lag; 0 where there is none."""
        return max(self.norms, default=0)


def by_lag(norms: Sequence[float]) -> dict[int, float]:
    """Of T steps in their order those 0, 1, 2, 4, 8, … steps before the last one, and the first."""
    steps = len(norms)
    powers = (2**power for power in range(steps.bit_length()))
    chosen = [0, *(power for power in powers if power < steps - 1), *([steps - 1] if steps > 1 else [])]
    return {lag: norms[-1 - lag] for lag in chosen}


def memory_rows(memories: Mapping[Layer, Memory]) -> Iterator[Row]:
    """The gradient by lag, the half-life, and the share of each gate's values that are nearly 0 or 1."""
    for layer, memory in memories.items():
        yield from (Row(layer.path, layer.depth, metric, value) for metric, value in _values(layer, memory))


def _values(layer: Layer, memory: Memory) -> Iterator[tuple[str, float]]:
    for lag, norm in memory.norms.items():
        yield lag_metric(lag), norm
    half_life = _half_life(layer.recurrence, memory)
    if half_life is not None:
        yield "memory_half_life", half_life
    for name, arrays in memory.gates.items():
        gate = torch.cat([array.flatten() for array in arrays])
        share = ((gate < CLOSED) | (gate > OPEN)).double().mean().item()
        yield f"gate_saturated_{name}", share


def _half_life(kind: str, memory: Memory) -> float | None:
    """Steps after which half of a state is left; ``None`` where it was not measured.

    Of gated layers ``ln 2 / -ln f``, f the mean over examples and steps of an LSTM's forget gate, or of a GRU's update
    gate, by which a unit's state is multiplied in each step (Jozefowicz et al. 2015, ICML; Tallec & Ollivier 2018,
    arXiv:1804.11188); the median over units. Of plain layers ``ln 2 / λ``, λ the rate ``ln(|g_0| / |g_K|) / K`` at
    which the gradient falls back to the first step (Pascanu et al. 2013, arXiv:1211.5063); infinite where it does not
    fall.
    """
    if kind in _KEEPING:
        arrays = memory.gates.get(_KEEPING[kind], [])
        rates = [rate for array in arrays for rate in array.mean(0).log().abs().tolist()]
        return statistics.median(map(_half, rates)) if rates else None
    if not memory.last_lag:
        return None
    lag = max((lag for lag, norm in memory.norms.items() if norm > 0), default=0)  # what has not underflowed
    if not lag:
        return 0.0
    return _half(math.log(memory.norms[0] / memory.norms[lag]) / lag if memory.norms[0] else math.nan)


def _half(rate: float) -> float:
    return math.inf if rate <= 0 else math.log(2) / rate
