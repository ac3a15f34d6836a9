"""Random generators keyed by names, so that no draw depends on what else is drawn.

Keys in use: ``(seed, "init", parameter)``, ``(seed, "order")``, ``(seed, "build")``; where a user's own code draws,
``(seed, "step", step)`` and ``(seed, "evaluate", step)``; for data, ``(name, seed, purpose)``. torch's CPU generator
keeps only the low 32 bits of its seed, so a key is hashed to 32 bits rather than packed into fields.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


def seed_of(*key: str | int) -> int:
    """The 32-bit seed of a key: the first four bytes of the SHA-256 of its JSON text."""
    digest = hashlib.sha256(json.dumps(key).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def generator(*key: str | int) -> torch.Generator:
    """A CPU generator that depends on ``key`` alone."""
    return torch.Generator().manual_seed(seed_of(*key))


@contextlib.contextmanager
def forked(*key: str | int) -> Iterator[None]:
    """For code that draws as it likes: torch's, numpy's and Python's global generators start from ``key``.

    Afterwards they go on as if nothing had been drawn.
    """
    cuda = _cuda_in_use()
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()
    before_cuda = torch.cuda.get_rng_state() if cuda else None
    seed_globals(*key)
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])
        random.setstate(before[2])
        if before_cuda is not None:
            torch.cuda.set_rng_state(before_cuda)


def seed_globals(*key: str | int) -> None:
    """Start torch's, numpy's and Python's global generators from ``key``; only inside :func:`forked`."""
    seed = seed_of(*key)
    torch.default_generator.manual_seed(seed)  # 200 times as fast as torch.manual_seed
    if _cuda_in_use():
        torch.cuda.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def _cuda_in_use() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]


class DrawFrom(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Hand our generators to code that would draw from the global one.

    ``nn.Module.reset_parameters`` takes no generator and ``nn.init.sparse_`` draws its mask without
    the one it is given. Inside this context every random operation without a generator gets the one
    that ``pick(tensor)`` returns for the tensor it fills (``None`` for operations that create one).
    The global generator is neither read nor changed.
    """

    def __init__(self, pick: Callable[[Tensor | None], torch.Generator]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pick = pick

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch would import its compiler, which takes longer than a small run, to keep it out of these draws."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded in func.tags and kwargs.get("generator") is None:
            filled = args[0] if args and isinstance(args[0], Tensor) else None
            taking = _taking_generator(func)
            if taking is not None:
                func, kwargs["generator"] = taking, self.pick(filled)
        return func(*args, **kwargs)


def _taking_generator(func: Any) -> Any:
    """The overload of ``func`` that takes a generator (``randperm`` has it apart); ``None`` where there is none
    (attention, whose dropout draws)."""
    if any(argument.name == "generator" for argument in func._schema.arguments):
        return func
    name = func._schema.overload_name
    return getattr(func.overloadpacket, f"{name}_generator" if name else "generator", None)
