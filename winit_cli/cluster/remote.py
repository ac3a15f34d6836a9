"""What stands on another machine: a station that Ray starts there, and the data as Ray shares it among them."""

from __future__ import annotations

import socket
import warnings
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from winit_cli.data.dataset import Dataset, Part
from winit_cli.environment import environment
from winit_cli.errors import UsageError, WinitError
from winit_cli.orders import Order
from winit_cli.packing import unpacked
from winit_cli.plan import Plan
from winit_cli.station import Answer, Setup, Station, replayed
from winit_cli.workers import job_error

ALIGNMENT = 64  # bytes, of torch's memory on a processor
Arrays = list[tuple[Any, Any] | None]


class RemoteStation:
    """Trains one order after another. Ray calls its methods in the order in which they were asked for, but for
    ``ask``, which is called meanwhile."""

    def prepare(self, setup: Setup, device: str, bare: list[Dataset], *arrays: Arrays) -> dict[str, Any] | None:
        """Make the plan again; returns what this machine is, or nothing where the plan cannot be made, which the
        answer to the first order then says. ``arrays`` are those of the data sets, which come without."""
        self.fault: WinitError | None = None
        datasets = [filled(data, mine) for data, mine in zip(bare, arrays, strict=True)]
        try:
            self.stack = ExitStack()  # kept, or the code would be unloaded with it
            plan = self.stack.enter_context(unpacked(setup.packed, datasets, device))
            if any(setting.is_foreign for setting in plan.settings):  # which may write into what it is given
                own = {data.fingerprint: owned(data) for data in datasets}
                plan = Plan(plan.config, tuple(replace(s, dataset=own[s.dataset.fingerprint]) for s in plan.settings))
            self.stack.enter_context(replayed(plan, setup))
            self.station = Station(plan, setup)
        except WinitError as error:
            self.fault = UsageError(f"{socket.gethostname()}: {error}")
            return None
        except Exception as error:
            self.fault = UsageError(f"{socket.gethostname()}: {job_error(error).reason}")
            return None
        return environment(device) | {"host": socket.gethostname()}

    def begin(self, order: Order) -> Answer:
        """The first answer to an order."""
        if self.fault:
            return Answer("raised", self.fault, False, False, 0.0)
        return self.station.begin(order)

    def go_on(self) -> Answer:
        """The next one, as the last was taken."""
        return self.station.go_on()

    def ask(self) -> None:
        """Let the order hand over a checkpoint after its next update."""
        self.station.ask()


def emptied(data: Dataset) -> tuple[Dataset, Arrays]:
    """A data set without its arrays, and these, which Ray keeps once for all processes of a machine."""
    parts = (data.train, data.val, data.test)
    nothing = Part(torch.empty(0), torch.empty(0))
    bare = replace(data, train=nothing, val=data.val and nothing, test=nothing)
    return bare, [None if part is None else (part.x.numpy(), part.y.numpy()) for part in parts]


def filled(bare: Dataset, arrays: Arrays) -> Dataset:
    """The data set again; its tensors share the memory of the arrays, which must not be written to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that it could be written to
        parts = [part and Part(*map(_aligned, part)) for part in arrays]
    train, val, test = parts
    assert train is not None and test is not None
    return replace(bare, train=train, val=val, test=test)


def _aligned(array: Any) -> Tensor:
    """A tensor that begins where torch's own do: products of one that begins elsewhere have other last bits."""
    tensor = torch.from_numpy(array)
    return tensor if tensor.data_ptr() % ALIGNMENT == 0 else tensor.clone()


def owned(data: Dataset) -> Dataset:
    """The data set in memory of its own."""
    train, val, test = (
        None if part is None else Part(part.x.clone(), part.y.clone()) for part in (data.train, data.val, data.test)
    )
    assert train is not None and test is not None
    return replace(data, train=train, val=val, test=test)
