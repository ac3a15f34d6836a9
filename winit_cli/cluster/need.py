"""What a stack takes of a cluster, and how many stacks its nodes have room for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from winit_cli.engine.division import bytes_by_stack
from winit_cli.errors import UsageError
from winit_cli.plan import Plan
from winit_cli.sizes import size_text

PROCESS = 400 * 2**20  # bytes that Python and torch take before anything is trained


@dataclass(frozen=True)
class Need:
    """Of one stack: processors, a number or share of GPUs, and bytes of memory."""

    cpus: int
    gpus: float
    memory: int

    def __str__(self) -> str:
        gpus = f", {self.gpus:g} GPU" if self.gpus else ""
        return f"{self.cpus} CPU{'s' if self.cpus != 1 else ''}{gpus} and {size_text(self.memory)} of memory"

    def options(self) -> dict[str, Any]:
        """What Ray is asked for."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus, "memory": self.memory}

    def room(self, resources: Mapping[str, float]) -> int:
        """How many stacks a node with these resources has room for."""
        pairs = [("CPU", self.cpus), ("GPU", self.gpus), ("memory", self.memory)]
        return int(min(resources.get(name, 0.0) // need for name, need in pairs if need))


def need_of(plan: Plan, stacks: Sequence[Sequence[int]], threads: int, gpus: float) -> Need:
    """What each of these stacks takes at most; ``gpus`` of a GPU where they train on one."""
    data = max(_bytes_of_data(setting.dataset) for setting in plan.settings)
    memory = PROCESS + data + max(bytes_by_stack(plan, stacks))
    return Need(threads, 0.0 if plan.is_on_cpu else gpus, memory)


def rooms(nodes: Iterable[Mapping[str, Any]], need: Need) -> dict[str, int]:
    """By the address of every node that lives and has room: for how many stacks.

    ``nodes`` are as Ray lists them.
    """
    found = {str(node["NodeID"]): need.room(node["Resources"]) for node in nodes if node["Alive"]}
    return {node: room for node, room in found.items() if room}


def refuse_too_small(nodes: Sequence[Mapping[str, Any]], need: Need) -> None:
    """Refuse a cluster on which nothing would ever begin.

    Raises:
        UsageError: no node has room for one stack.
    """
    if rooms(nodes, need):
        return
    listed = "; ".join(
        f"{node['NodeManagerHostname']}: {node['Resources'].get('CPU', 0):g} CPUs, "
        f"{node['Resources'].get('GPU', 0):g} GPUs, {size_text(int(node['Resources'].get('memory', 0)))}"
        for node in nodes
        if node["Alive"]
    )
    raise UsageError(
        f"no node of the cluster has room for a stack, which takes {need} ({listed or 'no node is up'}); "
        "OMP_NUM_THREADS sets the CPUs of a trial that trains alone, --memory the size of stacks, --gpus their share"
    )


def _bytes_of_data(data: Any) -> int:
    parts = [part for part in (data.train, data.val, data.test) if part is not None]
    return sum(tensor.nbytes for part in parts for tensor in (part.x, part.y))
