"""Random generators keyed by names, so that no draw depends on what else is drawn.

Keys in use: ``(seed, "init", parameter)``, ``(seed, "order")``, ``(seed, "build")`` and, for data,
``(name, seed, purpose)``. torch's CPU generator keeps only the low 32 bits of its seed, so a key is
hashed to 32 bits rather than packed into fields.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

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

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded in func.tags and kwargs.get("generator") is None:
            filled = args[0] if args and isinstance(args[0], Tensor) else None
            func, kwargs["generator"] = _taking_generator(func), self.pick(filled)
        return func(*args, **kwargs)


def _taking_generator(func: Any) -> Any:
    """The overload of ``func`` that takes a generator (``randperm`` has it apart)."""
    if any(argument.name == "generator" for argument in func._schema.arguments):
        return func
    name = func._schema.overload_name
    return getattr(func.overloadpacket, f"{name}_generator" if name else "generator")
