"""A process for each of several devices: the same results, whichever takes which stack, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
import torch
from commands import refused, write
from small import BASE, Heard, bytes_of, plan_of, run_of
from test_workers import has_ended

from winit_cli import stations
from winit_cli.config import parse, resolve
from winit_cli.engine.division import division
from winit_cli.engine.stack import Stack
from winit_cli.environment import resolve_devices
from winit_cli.errors import UsageError
from winit_cli.orders import Order
from winit_cli.packing import Code, pack, unpacked
from winit_cli.plan import make_plan
from winit_cli.plugins import plugged
from winit_cli.runner import How, Result, run_plan
from winit_cli.sizes import MEMORY
from winit_cli.station import ASK, Setup, Station

pytestmark = pytest.mark.usefixtures("one_thread")
THREE = ("schemes=[kaiming_normal, zeros]", "seeds=12")  # stacks of eight trials
TWO = How(devices=("cpu", "cpu"))  # where there is no GPU, processes on the processor take their place


def on_two(results: Path, *settings: str, heard: Heard | None = None) -> Result:
    return run_plan(plan_of(*THREE, *settings), results, heard or Heard(), TWO)


def test_processes_give_the_bytes_of_a_run_in_one(tmp_path: Path) -> None:
    apart = on_two(tmp_path / "two")
    assert apart.counts["ok"] == 24
    assert bytes_of(apart) == bytes_of(run_of(tmp_path / "one", *THREE))


class Threads:
    """Threads of this process in place of the children, and which device was given which trials."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.given: list[tuple[str, list[int]]] = []
        self.asked = threading.Semaphore(0)
        monkeypatch.setattr(stations._Child, "connected", lambda child, *setup: self.connected(child, *setup))
        monkeypatch.setattr(stations._Child, "end", lambda child: 3)

    def connected(self, child: Any, setup: Setup, datasets: Any) -> Connection:
        if child.here is None:
            child.here, there = Pipe()
            with unpacked(pickle.loads(pickle.dumps(setup.packed)), datasets, "cpu") as plan:
                station, inbox = Station(plan, setup), SimpleQueue[Any]()
            threading.Thread(target=self.listen, args=(station, there, inbox), daemon=True).start()
            threading.Thread(target=self.serve, args=(station, there, inbox, child.device), daemon=True).start()
        return child.here  # type: ignore[no-any-return]

    def listen(self, station: Station, there: Connection, inbox: SimpleQueue[Any]) -> None:
        with contextlib.suppress(EOFError):
            while True:
                found = there.recv()
                if found == ASK:
                    station.ask()
                    self.asked.release()
                else:
                    inbox.put(found)

    def serve(self, station: Station, there: Connection, inbox: SimpleQueue[Any], device: str) -> None:
        while True:
            found = inbox.get()
            if isinstance(found, Order):
                self.given.append((device, found.positions))
                there.send(station.begin(found))
            else:
                there.send(station.go_on())


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    return Threads(monkeypatch)


DEVICES = How(devices=("cuda:0", "cuda:1", "cuda:2"))


@pytest.fixture
def like_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run asks of GPUs that are not there."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda device: f"model {'AB'[str(device) == 'cuda:2']}")


@pytest.mark.usefixtures("like_gpus")
def test_every_stack_goes_to_one_device_and_none_waits_for_another(threads: Threads, tmp_path: Path) -> None:
    settings = ("schemes=[kaiming_normal, zeros, xavier_normal]", "seeds=16")
    result = run_plan(plan_of(*settings), tmp_path, Heard(), DEVICES)
    assert result.counts["ok"] == 48
    assert sorted(position for _, stack in threads.given for position in stack) == list(range(48))
    assert {device for device, _ in threads.given[:3]} == {*DEVICES.devices}
    assert len(threads.given) == 6
    assert bytes_of(result) == bytes_of(run_of(tmp_path / "one", *settings))


@pytest.mark.usefixtures("like_gpus")
def test_the_run_says_which_devices_it_had(threads: Threads, tmp_path: Path) -> None:
    run_plan(plan_of(*THREE), tmp_path, Heard(), DEVICES)
    (env,) = (path.read_text() for path in tmp_path.glob("*/env.json"))
    assert '"device": "cuda:0,cuda:1,cuda:2"' in env and '"gpu": "model A, model B"' in env and '"gpus": 3' in env


def test_what_a_worker_raises_is_told(threads: Threads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def update(stack: Stack, step: int) -> None:
        raise MemoryError if len(stack.trials) > 4 else ValueError("no more")

    monkeypatch.setattr(Stack, "update", update)
    heard = Heard()
    result = on_two(tmp_path, heard=heard)
    assert result.counts["failed"] == 24 and all("no more" in failure for failure in result.failures)
    assert sum("ran out of memory and is trained as two" in note for note in heard.notes) == 3


def test_a_signal_is_passed_on_and_every_stack_hands_over(
    threads: Threads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, both = Stack.update, threading.Barrier(2, lambda: os.kill(os.getpid(), signal.SIGINT))

    def update(stack: Stack, step: int) -> None:
        real(stack, step)
        if step == 2:  # of the first two stacks; the third never begins
            both.wait(20)
            assert threads.asked.acquire(timeout=20)

    monkeypatch.setattr(Stack, "update", update)
    with pytest.raises(KeyboardInterrupt):
        on_two(tmp_path)
    monkeypatch.undo()
    heard = Heard()
    result = run_of(tmp_path, *THREE, heard=heard)
    assert 16 * 3 <= heard.spared < 16 * 6
    assert bytes_of(result) == bytes_of(run_of(tmp_path / "one", *THREE))


def test_devices_as_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    typed = {"cuda:all": ("cuda:0", "cuda:1", "cuda:2"), "cuda:2,cuda:0": ("cuda:2", "cuda:0"), "cuda": ("cuda",)}
    typed |= {"auto": ("cuda",), "cpu": ("cpu",), "cuda:1,cuda:1": ("cuda:1", "cuda:1")}
    assert {text: resolve_devices(text) for text in typed} == typed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cpu,cpu", "several devices are GPUs, each by its number"),
        ("cuda:0,cpu", "several devices are GPUs, each by its number"),
        ("cuda,cuda", "several devices are GPUs, each by its number"),
        ("cuda:0,", "several devices are GPUs, each by its number"),
        ("cuda:0,cuda:9", "it sees 2 GPU(s), numbered from 0"),
        ("cuda:0,cuda:x", "unknown device 'cuda:x'"),
    ],
)
def test_devices_that_are_none(text: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(UsageError) as found:
        resolve_devices(text)
    assert said in str(found.value)


@pytest.mark.usefixtures("no_sets")
@pytest.mark.skipif(torch.cuda.is_available(), reason="there are GPUs here")
@pytest.mark.parametrize("device", ["cuda:all", "cuda:0,cuda:1"])
def test_without_a_gpu_there_are_no_several(device: str) -> None:
    write(Path("c.yaml"))
    assert "torch sees no CUDA GPU here" in refused("run", "c.yaml", "--device", device, "--quiet")
    assert "torch sees no CUDA GPU here" in refused("check", "c.yaml", "--device", device)


def test_several_gpus_have_a_stack_each() -> None:
    plan = make_plan(resolve(parse(BASE.replace("seeds: 2", "seeds: 9"), "small.yaml")), "cuda:0")
    stacks = {gpus: division(plan, range(9), MEMORY, 1, gpus=gpus) for gpus in (1, 2, 4)}
    assert {gpus: [len(stack) for stack in found.stacks] for gpus, found in stacks.items()} == {
        1: [9],
        2: [4, 5],
        4: [2, 2, 3, 2],
    }
    assert [found.at_once for found in stacks.values()] == [1, 2, 4]
    kept = division(plan, range(9), MEMORY, 1, stacks[2].facts(), gpus=4)
    assert kept.stacks == stacks[2].stacks, "a run that goes on keeps its stacks"


def test_a_plan_travels_without_its_data_and_needs_the_same_code() -> None:
    plan = plan_of(*THREE)
    packed, datasets = pack(plan, Code())
    assert len(datasets) == 1 and len(packed.plan) < 10_000
    with unpacked(pickle.loads(pickle.dumps(packed)), datasets, "cpu") as found:
        assert found.name == plan.name and found.trials[0].setting.dataset is datasets[0]
        assert found.trials[0].setting is found.settings[0]
    broken = {"or winit itself, differ there": replace(packed, name="small-00000000")}
    broken |= {"gone": replace(packed, code=Code(("gone.py",)))}
    for said, other in broken.items():
        with pytest.raises(UsageError, match=said), unpacked(other, datasets, "cpu"):
            pass


# a run on two processes whose own process ends by a signal after some updates; their numbers go into a file
ENDING = """
import os, subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from small import Heard, plan_of
from winit_cli.runner import How, run_plan
from winit_cli.cli.guard import guarded
number, file, results, *settings = sys.argv[2:]
real = subprocess.Popen.__init__
def begin(self, *arguments, **named):
    real(self, *arguments, **named)
    with open(file, "a") as told:
        told.write(f"{self.pid}\\n")
class Ending(Heard):
    sent = False
    def advance(self, updates):
        super().advance(updates)
        if self.steps > 3000 and not self.sent:
            self.sent = True
            os.kill(os.getpid() if int(number) > 0 else int(Path(file).read_text().split()[-1]), abs(int(number)))
subprocess.Popen.__init__ = begin
heard = Ending()
guarded(lambda: run_plan(plan_of(*settings), Path(results), heard, How(devices=("cpu", "cpu"))))()
print(*heard.notes, sep="\\n")
"""
LONG = (*THREE, "train={steps: 600, batch_size: 8, lr: 0.1, optimizer: adam}", "measure={every: 100, test_every: 100}")


def ending(number: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """The run, which gets a signal; a negative number goes to one of its workers."""
    arguments = [str(Path(__file__).parent), str(number), str(folder / "told"), str(folder / "r"), *LONG]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", ENDING, *arguments], env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_parent_that_ends_leaves_no_child_and_the_run_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    done = ending(number, tmp_path)
    assert done.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}.get(number, -number), done.stderr
    children = (tmp_path / "told").read_text().split()
    assert len(children) >= 2 and all(has_ended(int(child)) for child in children)
    heard = Heard()
    result = run_of(tmp_path / "r", *LONG, heard=heard)
    assert number == signal.SIGKILL or heard.spared > 0
    assert bytes_of(result) == bytes_of(run_of(tmp_path / "one", *LONG))


NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, in_features, outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(in_features, 6), nn.Dropout(0.5), nn.Linear(6, outputs))

    def forward(self, x):
        print("said aloud")
        return self.layers(x + 0.01 * torch.randn_like(x))
"""


@pytest.mark.slow
def test_code_of_a_users_own_runs_there_too(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    net = f"{tmp_path / 'net.py'}:Net"
    with plugged((), net):
        plans = [plan_of(f"model={net}", "seeds=3") for _ in range(2)]
        apart = run_plan(plans[0], tmp_path / "two", Heard(), replace(TWO, code=Code((), net)))
        alone = run_plan(plans[1], tmp_path / "one", Heard())
    assert apart.counts["ok"] == 3 and bytes_of(apart) == bytes_of(alone)


@pytest.mark.slow
def test_a_worker_that_is_killed_has_a_successor(tmp_path: Path) -> None:
    done = ending(-signal.SIGKILL, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ran out of memory and is trained as two" in done.stdout
    (status,) = (path.read_text() for path in (tmp_path / "r").glob("*/status.json"))
    assert '"ok": 24' in status
