"""The workers of a run on a Ray cluster: as many stations as its nodes have room for, one stack on each at a time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from winit_cli.cluster.join import joined
from winit_cli.cluster.need import Need, refuse_too_small, rooms
from winit_cli.cluster.remote import RemoteStation, emptied
from winit_cli.data.dataset import Dataset
from winit_cli.environment import SHOWN_IF_DIFFERENT, differences
from winit_cli.errors import UsageError
from winit_cli.station import Answer, Setup
from winit_cli.stations import entered
from winit_cli.training import Job
from winit_cli.workers import Job as AnyJob
from winit_cli.workers import JobError, JobLost, raising

LOOK_SECONDS = 2.0  # between two looks at the nodes
SIGNAL_SECONDS = 0.2  # between two looks whether a signal has come
ALIKE = ("winit", "torch")  # what a node must have as this machine has it
MAY_DIFFER = ("cpu_capability", "gpu", *(name for name in SHOWN_IF_DIFFERENT if name not in (*ALIKE, "threads")))


@dataclass
class _Remote:
    """A station somewhere. ``ready`` gives what its machine is, which is looked at with its first answer."""

    handle: Any
    ready: Any
    was_asked: bool = False


@dataclass(frozen=True)
class Told:
    """Whom a pool tells: ``where`` stacks train at the moment, and a ``remark`` on a machine that is unlike this."""

    where: Callable[[str], None]
    remark: Callable[[str], None]


class OnRay:
    """A pool of stations. One that is lost loses its job, too, which another can go on with."""

    def __init__(
        self,
        ray: Any,
        need: Need,
        setup: Setup,
        device: str,
        data: list[Dataset],
        here: Mapping[str, Any],
        told: Told,
    ) -> None:
        self.ray, self.need, self.here, self.told = ray, need, here, told
        refuse_too_small(ray.nodes(), need)
        pairs = [emptied(each) for each in data]
        self._given = (ray.put(setup), device, [bare for bare, _ in pairs], *(ray.put(arrays) for _, arrays in pairs))
        self._remote = ray.remote(concurrency_groups={"aside": 1})(RemoteStation)
        self._idle: list[_Remote] = []
        self._busy: dict[Any, tuple[_Remote, Job]] = {}
        self._paused: dict[int, _Remote] = {}
        self._unlike: set[str] = set()
        self._rooms: dict[str, int] = {}
        self._looked, self._said = 0.0, ""

    @property
    def workers(self) -> int:
        """For how many stacks the nodes have room; one waits where there is none for the moment."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._rooms = rooms(self.ray.nodes(), self.need)
            self._looked = time.monotonic()
        return max(1, sum(self._rooms.values()))

    @property
    def running(self) -> int:
        """How many jobs run at the moment."""
        return len(self._busy)

    def start(self, job: AnyJob) -> None:
        mine = cast(Job, job)
        remote = self._idle.pop() if self._idle else self._new()
        self._busy[remote.handle.begin.remote(mine.order)] = remote, mine

    def resume(self, job: AnyJob) -> None:
        remote = self._paused.pop(id(job))
        self._busy[remote.handle.go_on.remote()] = remote, cast(Job, job)

    def next(self) -> tuple[AnyJob, Callable[[], object]]:
        ready: list[Any] = []
        while not ready:
            self._ask_if_asked()
            self._move_those_that_wait()
            self._say_where()
            ready, _ = self.ray.wait(list(self._busy), num_returns=1, timeout=SIGNAL_SECONDS)
        remote, job = self._busy.pop(ready[0])
        try:
            answer: Answer = self.ray.get(ready[0])
            self._compare(remote)
        except Exception as error:
            self._end([remote, *self._idle])  # the idle ones may be gone with it, and would not say so
            self._idle = []
            return job, raising(self._why(error))
        if answer.kind == "records":
            self._paused[id(job)] = remote
        else:
            self._idle.append(remote)
        return job, entered(job, answer)

    def close(self) -> None:
        """End all stations, wherever they are."""
        self._end([*self._idle, *self._paused.values(), *(remote for remote, _ in self._busy.values())])

    def _end(self, remotes: list[_Remote]) -> None:
        for remote in remotes:
            with contextlib.suppress(Exception):  # it is gone already
                self.ray.kill(remote.handle)

    def _new(self) -> _Remote:
        handle = self._remote.options(**self.need.options(), max_restarts=0).remote()
        return _Remote(handle, handle.prepare.remote(*self._given))

    def _compare(self, remote: _Remote) -> None:
        """Say once of each machine in what it is unlike this one.

        Raises:
            UsageError: in what may change more than last digits.
        """
        there = remote.ready and self.ray.get(remote.ready)
        remote.ready = None
        if not there:
            return
        host = there["host"]
        if said := differences(there, self.here, ALIKE):
            raise UsageError(f"node {host} has {said}; install on it what is installed here")
        said = differences(there, self.here, MAY_DIFFER)
        if said and f"{host} {said}" not in self._unlike:
            self._unlike.add(f"{host} {said}")
            self.told.remark(f"node {host} has {said}: last digits may differ from those of a run here")

    def _why(self, error: Exception) -> Exception:
        """What became of a job, from what Ray raises in its place."""
        known = self.ray.exceptions
        said = str(error).strip().partition("\n")[0]
        if isinstance(error, UsageError):
            return error
        if isinstance(error, known.OutOfMemoryError):
            return JobError("its node is short of memory", True)
        if "No module named" in str(error):
            return UsageError(f"winit is not installed on a node of the cluster: {str(error).strip().splitlines()[-1]}")
        lost = (known.RayActorError, known.WorkerCrashedError, known.ObjectLostError, known.NodeDiedError)
        is_lost = isinstance(error, lost)
        return JobLost(f"its worker is gone ({type(error).__name__})") if is_lost else JobError(said, False)

    def _ask_if_asked(self) -> None:
        """Pass on, once, that a signal has come."""
        for remote, job in self._busy.values():
            if job.timer.cadence.is_asked and not remote.was_asked:
                remote.was_asked = True
                remote.handle.ask.options(concurrency_group="aside").remote()

    def _move_those_that_wait(self) -> None:
        """Give a job whose station has found no place yet to one that has nothing to do, and keeps a place."""
        for ref, (remote, job) in list(self._busy.items()):
            if not self._idle:
                return
            if remote.ready is not None and not self.ray.wait([remote.ready], timeout=0)[0]:
                del self._busy[ref]
                self._end([remote])
                self.start(job)

    def _say_where(self) -> None:
        stacks, nodes = len(self._busy) + len(self._paused), len(self._rooms)
        said = f"{stacks} stack{'s' if stacks != 1 else ''} on {nodes} node{'s' if nodes != 1 else ''}"
        if said != self._said:
            self._said = said
            self.told.where(said)


@contextlib.contextmanager
def on_ray(
    address: str, need: Need, setup: Setup, device: str, data: list[Dataset], here: Mapping[str, Any], told: Told
) -> Iterator[OnRay]:
    """A pool on the cluster at an address (see ``join``).

    Raises:
        UsageError: Ray is not installed, the address is none, or no node has room for a stack.
        StorageError: there is no such cluster.
    """
    with joined(address) as ray:
        pool = OnRay(ray, need, setup, device, data, here, told)
        try:
            yield pool
        finally:
            pool.close()
