"""Runs on a real cluster of several nodes on this machine: nodes, workers and the driver killed on the way."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import tables, write

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'winit[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.filterwarnings("ignore")]

LONG: dict[str, Any] = {
    "train": {"lr": [0.1], "batch_size": 8, "steps": 2500, "optimizer": "adam"},
    "measure": {"every": 100, "test_every": 100},
    "checkpoint_seconds": 0.2,
    "seeds": 16,  # four stacks
}
AT_MOST_SECONDS = 150  # that a driver may take before it is ended, and its test fails
WINIT = [sys.executable, "-m", "winit_cli"]


class Cluster:
    """A head and one more node, with a processor each; its drivers."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster as Nodes

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.client = free.getsockname()[1]
        head = {"num_cpus": 1, "include_dashboard": False, "ray_client_server_port": self.client}
        self.nodes = Nodes(initialize_head=True, head_node_args=head)
        self.second = self.nodes.add_node(num_cpus=1)
        self.nodes.wait_for_nodes()
        self.env = os.environ | {"OMP_NUM_THREADS": "1", "RAY_ADDRESS": self.nodes.address}

    def driver(self, *arguments: object) -> subprocess.Popen[str]:
        command = [*WINIT, "run", *map(str, arguments)]
        return subprocess.Popen(command, env=self.env, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def workers(self) -> list[int]:
        """The processes of the second node that train."""
        (raylet,) = self.second.all_processes["raylet"]
        parent = raylet.process.pid
        found = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in found if _parent_and_name(pid) == (parent, "ray::RemoteStat")]


def _parent_and_name(pid: int) -> tuple[int, str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0, ""
    name, _, rest = text.partition("(")[2].rpartition(")")
    return int(rest.split()[1]), name


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    found = Cluster()
    yield found
    found.nodes.shutdown()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of the long run without a cluster."""
    folder = tmp_path_factory.mktemp("here")
    config = write(folder / "c.yaml", **LONG)
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*WINIT, "run", config, "--results", folder / "r", "--quiet"], env=env, check=True)
    return tables_of(folder / "r")


def tables_of(results: Path) -> dict[str, bytes]:
    (run,) = results.iterdir()
    assert json.loads((run / "status.json").read_text())["state"] == "complete"
    return tables(run)


def read(driver: subprocess.Popen[str], until: str, then: Callable[[], object]) -> str:
    """Everything that a driver says; as it says something for the first time, something is done."""
    assert driver.stderr is not None
    said, done = "", False
    watch = threading.Timer(AT_MOST_SECONDS, driver.kill)
    watch.start()
    with driver:
        for line in driver.stderr:
            said += line
            if until in line and not done:
                done = True
                then()
    watch.cancel()
    assert done, said
    return said


@pytest.mark.parametrize("address", ["auto", "ray://"])
def test_a_cluster_gives_the_bytes_of_a_run_here(
    address: str, cluster: Cluster, here: dict[str, bytes], tmp_path: Path
) -> None:
    config = write(tmp_path / "c.yaml", **LONG)
    on = f"ray://127.0.0.1:{cluster.client}" if address == "ray://" else address
    driver = cluster.driver(config, "--results", tmp_path / "r", "--on", on)
    said = read(driver, "2 stacks on 2 nodes", lambda: None)
    assert driver.returncode == 0, said
    assert tables_of(tmp_path / "r") == here


def test_a_node_that_is_killed(cluster: Cluster, here: dict[str, bytes], tmp_path: Path) -> None:
    config = write(tmp_path / "c.yaml", **LONG)
    driver = cluster.driver(config, "--results", tmp_path / "r", "--on", "auto")
    said = read(driver, "20 %", lambda: cluster.nodes.remove_node(cluster.second, allow_graceful=False))
    assert driver.returncode == 0 and "goes on elsewhere: its worker is gone" in said, said
    assert tables_of(tmp_path / "r") == here


def test_a_worker_that_is_killed(cluster: Cluster, here: dict[str, bytes], tmp_path: Path) -> None:
    config = write(tmp_path / "c.yaml", **LONG)

    def kill() -> None:
        (worker,) = cluster.workers()
        os.kill(worker, signal.SIGKILL)

    driver = cluster.driver(config, "--results", tmp_path / "r", "--on", "auto")
    said = read(driver, "20 %", kill)
    assert driver.returncode == 0 and "goes on elsewhere: its worker is gone" in said, said
    assert tables_of(tmp_path / "r") == here


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_driver_that_ends_is_resumed_by_the_same_command(
    number: signal.Signals, cluster: Cluster, here: dict[str, bytes], tmp_path: Path
) -> None:
    arguments = (write(tmp_path / "c.yaml", **LONG), "--results", tmp_path / "r", "--on", "auto")
    driver = cluster.driver(*arguments)
    said = read(driver, "20 %", lambda: driver.send_signal(number))
    assert driver.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}.get(number, -number), said
    again = cluster.driver(*(arguments[:-2] if number == signal.SIGINT else arguments))  # or here, without --on
    said = read(again, "trials to train", lambda: None)
    assert again.returncode == 0, said
    assert tables_of(tmp_path / "r") == here
    for _ in range(100):  # those of the first driver end, too
        if not cluster.workers():
            break
        time.sleep(0.1)
    assert cluster.workers() == []


NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, in_features, outputs):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(in_features, 6), nn.Dropout(0.5), nn.Linear(6, outputs))

    def forward(self, x):
        x *= 1.0  # into what it is given, which Ray keeps where nobody may write
        return self.layers(x)
"""


def test_code_of_a_users_own_runs_there_too(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    config = write(tmp_path / "c.yaml", model="mlp")
    code = ("--model", f"{tmp_path / 'net.py'}:Net")
    for results, where in (("r", ("--on", "auto")), ("here", ())):
        driver = cluster.driver(config, *code, "--results", tmp_path / results, *where)
        assert read(driver, "trials to train", lambda: None) and driver.returncode == 0
    assert tables_of(tmp_path / "r") == tables_of(tmp_path / "here")


def test_a_cluster_with_too_small_nodes(cluster: Cluster, tmp_path: Path) -> None:
    config = write(tmp_path / "c.yaml", engine="serial")
    cluster.env["OMP_NUM_THREADS"] = "2"
    driver = cluster.driver(config, "--results", tmp_path / "r", "--on", "auto")
    said = read(driver, "no node of the cluster has room", lambda: None)
    assert driver.returncode == 2 and "which takes 2 CPUs and" in said


def test_a_thousand_trials(tmp_path: Path) -> None:
    """With what the cluster costs beside a run here, which is printed: nothing depends on it."""
    config = write(tmp_path / "c.yaml", seeds=500, train={"lr": [0.1], "batch_size": 16, "steps": 200})
    took = {}
    for results, where in (("here", ()), ("r", ("--on", "ray"))):
        began = time.perf_counter()
        env = os.environ | {"OMP_NUM_THREADS": "2"}
        command = [*WINIT, "run", config, "--results", tmp_path / results, "--quiet", *where]
        subprocess.run(list(map(str, command)), env=env, check=True, stdout=subprocess.DEVNULL)
        took[results] = time.perf_counter() - began
    print(f"1,000 trials: {took['here']:.1f} s here, {took['r']:.1f} s on Ray")
    assert tables_of(tmp_path / "r") == tables_of(tmp_path / "here")
