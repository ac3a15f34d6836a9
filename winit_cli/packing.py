"""A plan as bytes for another process or machine, its data sets apart from it."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from winit_cli.data.dataset import Dataset
from winit_cli.errors import UsageError
from winit_cli.plan import Plan
from winit_cli.plugins import plugged


@dataclass(frozen=True)
class Code:
    """A user's own code as it is named on the command line: plug-in files, and ``FILE.py:NAME`` of model and loss."""

    files: tuple[str, ...] = ()
    model: str | None = None
    loss: str | None = None


@dataclass(frozen=True)
class Packed:
    """A plan without its data sets, the code that it needs, and the name that it must have again."""

    plan: bytes
    code: Code
    name: str


def pack(plan: Plan, code: Code) -> tuple[Packed, list[Dataset]]:
    """A plan, and its data sets in the order that :func:`unpacked` wants them."""
    datasets: dict[str, Dataset] = {setting.dataset.fingerprint: setting.dataset for setting in plan.settings}
    places = {fingerprint: place for place, fingerprint in enumerate(datasets)}
    bare = Plan(plan.config, tuple(replace(setting) for setting in plan.settings))  # without what they have cached
    text = io.BytesIO()
    _Pickler(text, places).dump(bare)
    return Packed(text.getvalue(), code, plan.name), list(datasets.values())


@contextmanager
def unpacked(packed: Packed, datasets: Sequence[Dataset], device: str) -> Iterator[Plan]:
    """The same plan on this machine and device, for as long as its code is loaded.

    Raises:
        UsageError: code that it names is missing here or differs, or winit does.
    """
    with plugged(packed.code.files, packed.code.model, packed.code.loss):
        plan: Plan = _Unpickler(io.BytesIO(packed.plan), datasets).load()
        if device != plan.settings[0].device:
            plan = Plan(plan.config, tuple(replace(setting, device=device) for setting in plan.settings))
        if plan.name != packed.name:
            raise UsageError(
                f"a worker makes another run of the config ({plan.name}, not {packed.name}): files of code that it "
                "names, or winit itself, differ there"
            )
        yield plan


class _Pickler(pickle.Pickler):
    """Puts the place of a data set in its stead."""

    def __init__(self, file: io.BytesIO, places: dict[str, int]) -> None:
        super().__init__(file, protocol=5)
        self.places = places

    def persistent_id(self, thing: Any) -> Any:
        return self.places[thing.fingerprint] if isinstance(thing, Dataset) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, datasets: Sequence[Dataset]) -> None:
        super().__init__(file)
        self.datasets = datasets

    def persistent_load(self, place: Any) -> Any:
        return self.datasets[place]
