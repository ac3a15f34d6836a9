"""A run on a cluster, with a stand-in for Ray: what is asked of it, what is lost with a machine, and what is said."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from commands import refused, winit, write
from small import Heard, bytes_of, plan_of, run_of

from winit_cli.cluster import join
from winit_cli.cluster.need import PROCESS, Need, need_of, refuse_too_small, rooms
from winit_cli.cluster.remote import emptied, filled, owned
from winit_cli.config import parse, resolve
from winit_cli.errors import StorageError, UsageError
from winit_cli.plan import make_plan
from winit_cli.runner import How, Result, run_plan
from winit_cli.store.runs import run_facts

pytestmark = pytest.mark.usefixtures("one_thread")
THREE = ("schemes=[kaiming_normal, zeros]", "seeds=12", "checkpoint_seconds=1e-9")  # stacks of eight trials
GIB = 2**30


class RayError(Exception):
    """What Ray raises."""


class ActorError(RayError):
    """In the place of a result of a worker that is gone."""


class MemoryShort(RayError):
    """Of a worker that Ray ended so that its node has memory."""


def node(name: str, cpus: float = 1, gpus: float = 0, memory: float = 4 * GIB, *, alive: bool = True) -> dict[str, Any]:
    """A node as Ray lists it."""
    resources = {"CPU": cpus, "GPU": gpus, "memory": memory}
    return {"NodeID": name, "NodeManagerHostname": name, "Alive": alive, "Resources": resources}


class StandIn:
    """Does at once what Ray would do elsewhere. ``before`` is called with each call's name and number, and may raise
    what Ray raises in the place of its result."""

    def __init__(self, before: Callable[[str, int], None] = lambda name, number: None) -> None:
        self.before, self.killed = before, 0
        self.asked_for: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.exceptions = SimpleNamespace(
            RayActorError=ActorError,
            WorkerCrashedError=ActorError,
            ObjectLostError=ActorError,
            NodeDiedError=ActorError,
            OutOfMemoryError=MemoryShort,
        )

    def is_initialized(self) -> bool:
        return True

    def nodes(self) -> list[dict[str, Any]]:
        return [node("a"), node("b")]

    def put(self, value: Any) -> Any:
        return value

    def kill(self, handle: Any) -> None:
        self.killed += 1

    def remote(self, **_: Any) -> Any:
        return lambda kind: SimpleNamespace(options=lambda **asked: self._maker(kind, asked))

    def wait(self, refs: list[Any], **_: Any) -> tuple[list[Any], list[Any]]:
        return refs[:1], refs[1:]

    def get(self, ref: Any) -> Any:
        if isinstance(ref.found, Exception):
            raise ref.found
        return ref.found

    def _maker(self, kind: Any, asked: dict[str, Any]) -> Any:
        self.asked_for.append(asked)
        return SimpleNamespace(remote=lambda: _Handle(self, kind()))


class _Handle:
    def __init__(self, ray: StandIn, target: Any) -> None:
        self.ray, self.target = ray, target
        self.dead: RayError | None = None

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.ray.calls.append(name)
            try:
                if self.dead is None:
                    self.ray.before(name, len(self.ray.calls))
                    return _Ref(getattr(self.target, name)(*arguments))
            except RayError as error:
                self.dead = error
            return _Ref(self.dead)

        return SimpleNamespace(remote=call, options=lambda **_: SimpleNamespace(remote=call))


class _Ref:
    """Hashed by who it is."""

    def __init__(self, found: Any) -> None:
        self.found = found


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """A stand-in that the process has joined already."""
    return joining(monkeypatch, StandIn())


def joining(monkeypatch: pytest.MonkeyPatch, stand_in: StandIn) -> StandIn:
    monkeypatch.setattr(join, "import_ray", lambda: stand_in)
    return stand_in


def on_it(results: Path, *settings: str, heard: Heard | None = None) -> Result:
    return run_plan(plan_of(*THREE, *settings), results, heard or Heard(), How(on="ray"))


def test_a_cluster_gives_the_bytes_of_a_run_here(ray: StandIn, tmp_path: Path) -> None:
    heard = Heard()
    result = on_it(tmp_path / "ray", heard=heard)
    assert bytes_of(result) == bytes_of(run_of(tmp_path / "here", *THREE))
    assert ray.calls.count("prepare") == 2 and ray.calls.count("begin") == 3, "one stack at a time on each"
    assert ray.killed == 2
    assert heard.places == ["2 stacks on 2 nodes", "1 stack on 2 nodes"]
    (asked, _) = ray.asked_for
    assert asked["num_cpus"] == 1 and asked["num_gpus"] == 0 and PROCESS < asked["memory"] < 2 * PROCESS


@pytest.mark.parametrize("number", [3, 6, 9, 12])
def test_what_is_lost_goes_on_elsewhere(number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def before(name: str, call: int) -> None:
        if call == number:
            raise ActorError("the node died\nand more")

    joining(monkeypatch, StandIn(before))
    heard = Heard()
    result = on_it(tmp_path / "ray", heard=heard)
    assert [note for note in heard.notes if "goes on" in note] == [
        "a stack of 8 trials goes on elsewhere: its worker is gone (ActorError)"
    ]
    assert bytes_of(result) == bytes_of(run_of(tmp_path / "here", *THREE))


def test_a_stack_that_loses_every_worker_has_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def before(name: str, call: int) -> None:
        if name == "begin":
            raise ActorError("it crashed")

    joining(monkeypatch, StandIn(before))
    heard = Heard()
    result = on_it(tmp_path, heard=heard)
    assert result.counts["failed"] == 24 and "its worker is gone (ActorError)" in result.failures[0]
    assert sum("goes on elsewhere" in note for note in heard.notes) == 3 * 3


def test_a_node_that_is_short_of_memory_gets_half(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def before(name: str, call: int) -> None:
        if call == 6:
            raise MemoryShort("killed")

    joining(monkeypatch, StandIn(before))
    heard = Heard()
    assert on_it(tmp_path, heard=heard).counts["ok"] == 24
    assert "a stack of 8 trials ran out of memory and is trained as two" in heard.notes


def test_a_node_without_winit_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def before(name: str, call: int) -> None:
        raise ActorError("creation failed\n  ModuleNotFoundError: No module named 'winit_cli'")

    joining(monkeypatch, StandIn(before))
    with pytest.raises(UsageError, match=r"winit is not installed on a node of the cluster: .*winit_cli"):
        on_it(tmp_path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cpu": "another"}, r"node \S+ has cpu another, not .+: last digits may differ from those of a run here"),
        ({"gpu": "big"}, r"node \S+ has gpu big, not None: last digits may differ from those of a run here"),
    ],
)
def test_a_machine_that_is_unlike_this_is_named_and_kept(
    changed: dict[str, str], said: str, ray: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other_machine(monkeypatch, changed)
    heard = Heard()
    result = on_it(tmp_path, heard=heard)
    (note,) = (note for note in heard.notes if note.startswith("node "))
    assert re.fullmatch(said, note)
    assert run_facts(result.directory)["env"]["nodes"] == [note]


def other_machine(monkeypatch: pytest.MonkeyPatch, changed: dict[str, str]) -> None:
    from winit_cli.cluster import remote

    real = remote.environment
    monkeypatch.setattr(remote, "environment", lambda device: real(device) | changed)


@pytest.mark.parametrize("name", ["winit", "torch"])
def test_other_versions_are_refused(name: str, ray: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other_machine(monkeypatch, {name: "0.0.7"})
    with pytest.raises(UsageError, match=rf"has {name} 0\.0\.7, not .*; install on it what is installed here"):
        on_it(tmp_path)


def test_trials_that_train_alone_get_the_threads_of_the_run(ray: StandIn, tmp_path: Path) -> None:
    torch.set_num_threads(2)
    with pytest.raises(UsageError, match=r"no node of the cluster has room for a stack, which takes 2 CPUs and"):
        on_it(tmp_path, "engine=serial", "seeds=2")
    on_it(tmp_path / "stacked", "seeds=2")
    assert ray.asked_for[0]["num_cpus"] == 1


def test_rooms_and_needs() -> None:
    nodes = [node("a", 4, 2), node("b", 16, 0, 9 * GIB), node("c", 64, 8, alive=False)]
    assert rooms(nodes, Need(1, 0, GIB)) == {"a": 4, "b": 9}
    assert rooms(nodes, Need(1, 0.25, GIB)) == {"a": 4}
    assert rooms(nodes, Need(1, 1, GIB)) == {"a": 2}
    assert rooms(nodes, Need(3, 0, GIB)) == {"a": 1, "b": 5}
    with pytest.raises(UsageError) as found:
        refuse_too_small(nodes, Need(1, 3, GIB))
    said = "takes 1 CPU, 3 GPU and 1 GiB of memory (a: 4 CPUs, 2 GPUs, 4 GiB; b: 16 CPUs, 0 GPUs, 9 GiB)"
    assert said in str(found.value)


def test_gpus_are_asked_for_where_trials_train_on_one() -> None:
    config = resolve(parse("model: mlp\ndata: digits\nschemes: [zeros]", "c.yaml"))
    plans = [make_plan(config, device) for device in ("cpu", "cuda")]
    needs = [need_of(plan, [[0, 1]], 1, 0.25) for plan in plans]
    assert [need.gpus for need in needs] == [0, 0.25]
    assert needs[0].memory > PROCESS + plans[0].settings[0].dataset.train.x.nbytes


def test_data_travels_apart_and_comes_back_as_it_was() -> None:
    data = plan_of().settings[0].dataset
    bare, arrays = emptied(data)
    assert not len(bare.train.x) and bare.fingerprint == data.fingerprint
    off = [part and tuple(_off_by_one(array) for array in part) for part in arrays]
    for found in (filled(bare, arrays), filled(bare, off), owned(data)):  # type: ignore[arg-type]
        for mine, theirs in ((found.train, data.train), (found.test, data.test)):
            assert torch.equal(mine.x, theirs.x) and torch.equal(mine.y, theirs.y)
            assert mine.x.data_ptr() % 64 == 0, "the last bits of a product depend on it"


def _off_by_one(array: np.ndarray) -> np.ndarray:
    room = np.empty(array.size + 1, dtype=array.dtype)[1:].reshape(array.shape)
    room[...] = array
    return room


WRONG = {
    "x": "--on x: use --on ray (a cluster on this machine), --on auto",
    "ray://": "--on ray://: ray:// is no HOST:PORT",
    "ray://host": "--on ray://host: ray://host is no HOST:PORT",
    "ray://host:port": "ray://host:port is no HOST:PORT",
    "ray://host:70000": "ray://host:70000 is no HOST:PORT",
}


@pytest.mark.usefixtures("no_sets")
@pytest.mark.parametrize(("text", "said"), WRONG.items(), ids=WRONG)
def test_addresses_that_are_none(text: str, said: str) -> None:
    write(Path("c.yaml"))
    assert said in " ".join(refused("run", "c.yaml", "--on", text).split())


@pytest.mark.usefixtures("no_sets")
def test_a_cluster_that_nobody_answers_at() -> None:
    write(Path("c.yaml"))
    result = winit("run", "c.yaml", "--on", "ray://127.0.0.1:1")
    assert result.exit_code == 1 and not Path("results").exists()
    assert "no Ray cluster answers at 127.0.0.1:1 (Connection refused); is it up?" in " ".join(result.stderr.split())


def test_the_address_in_the_environment_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    join.check_address("ray")
    with pytest.raises(StorageError, match="--on auto: no Ray cluster answers at 127"):
        join.check_address("auto")


@pytest.mark.usefixtures("no_sets")
def test_options_that_do_not_go_with_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("c.yaml"))
    assert "Ray picks the GPU of each stack" in refused("run", "c.yaml", "--on", "ray", "--device", "cuda:1")
    for share in ("0", "-1", "1.5"):
        assert "expected a share of one GPU" in refused("run", "c.yaml", "--on", "ray", "--gpus", share)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert "--on needs Ray, which is not installed: pip install 'winit[ray]'" in refused("run", "c.yaml", "--on", "ray")
