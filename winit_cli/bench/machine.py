"""What the machine can do: its matmul peak and memory bandwidth, and how much memory something took."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

REPEATS = 7
SIZES = {"cpu": (1536, 2**25), "cuda": (8192, 2**28)}  # side of the matrices, numbers that are added
FLOAT_BYTES = 4


def kind_of(device: str) -> str:
    """``cpu`` or ``cuda``."""
    return torch.device(device).type


def synchronize(device: str) -> None:
    """Wait until a GPU has done what it was asked for."""
    if kind_of(device) == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], object], device: str) -> float:
    """Wall time of some work."""
    synchronize(device)
    began = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - began


def matmul_flops(device: str) -> list[float]:
    """Operations per second of float32 products of large square matrices, one value per repeat."""
    side, _ = SIZES[kind_of(device)]
    a, b, out = (torch.rand(side, side, device=device) for _ in range(3))
    return [2 * side**3 / seconds for seconds in _repeated(lambda: torch.mm(a, b, out=out), device)]


def bandwidth(device: str) -> list[float]:
    """Bytes per second of an addition whose operands no cache holds: two reads and a write for each number."""
    _, numbers = SIZES[kind_of(device)]
    a, b, out = (torch.ones(numbers, device=device) for _ in range(3))
    return [3 * FLOAT_BYTES * numbers / seconds for seconds in _repeated(lambda: torch.add(a, b, out=out), device)]


def _repeated(work: Callable[[], object], device: str) -> list[float]:
    work()  # the first call also sets up libraries
    return [seconds_of(work, device) for _ in range(REPEATS)]


class PeakMemory:
    """The most memory that was taken between ``start`` and ``read``, beyond what was taken before."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.before: int | None = None

    def start(self) -> None:
        """Forget earlier peaks, where the system lets us."""
        gc.collect()
        if kind_of(self.device) == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            _give_back()
        self.before = self._peak()

    def read(self) -> int | None:
        """Bytes; on the processor ``None`` where nothing tells."""
        now = self._peak()
        return None if now is None or self.before is None else now - self.before

    def _peak(self) -> int | None:
        if kind_of(self.device) == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        if importlib.util.find_spec("resource") is None:
            return None
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _give_back() -> None:
    """Return freed memory to Linux and reset the process's high-water mark, or else an earlier peak hides this one."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
