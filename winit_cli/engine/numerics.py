"""Torch set up so that a run replays: its threads and, on CUDA, which kernels it may use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch


@contextlib.contextmanager
def replayable(device: str, threads: int, precision: str) -> Iterator[None]:
    """So many threads and, on CUDA, kernels that give the same bits each time; TF32 for ``tf32`` alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with contextlib.nullcontext() if torch.device(device).type == "cpu" else on_cuda(precision):
            yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def on_cuda(precision: str, *, deterministic: bool = True) -> Iterator[None]:
    """Kernels for CUDA; apart from the rest, because this imports torch's compiler (1.5 s)."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    matmul, cudnn, filling = torch.backends.cuda.matmul, torch.backends.cudnn, _filling()
    before = torch.are_deterministic_algorithms_enabled(), filling.fill_uninitialized_memory
    tf32 = matmul.allow_tf32, cudnn.allow_tf32
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    filling.fill_uninitialized_memory = False  # nothing is read that was not written
    matmul.allow_tf32 = cudnn.allow_tf32 = precision == "tf32"
    try:
        # the backward passes of the other kernels add up in any order
        with sdpa_kernel(SDPBackend.MATH) if deterministic else contextlib.nullcontext():
            yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        filling.fill_uninitialized_memory = before[1]
        matmul.allow_tf32, cudnn.allow_tf32 = tf32


def _filling() -> Any:
    return torch.utils.deterministic
