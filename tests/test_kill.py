"""A run killed at any moment, and resumed until it is complete, ends with the tables of an uninterrupted one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("kill")
TESTS = Path(__file__).parent
RECALL = "data={name: recall, lag: 4, symbols: 3, train_size: 40, test_size: 20}"
IMAGES = "data={name: digits, train_size: 60, test_size: 30}"
MODELS = {
    "mlp": [],
    "cnn": ["model={name: cnn, channels: [3, 4], norm: batch}", IMAGES],
    "lstm": ["model={name: lstm, hidden: 6}", RECALL],
}
TRAINED = {
    "sgd": "train={lr: 0.1, batch_size: 8, steps: 50, momentum: 0.9}",
    "adam": "train={lr: 0.01, batch_size: 8, steps: 50, optimizer: adam}",
}
CASES = {f"{model} {train}": ["engine=serial", *MODELS[model], TRAINED[train]] for model in MODELS for train in TRAINED}
ONE_DIVERGES = (
    "schemes=[xavier_normal, {scheme: normal, std: 0.9}]",
    "model={name: mlp, width: 6, depth: 2, activation: linear}",
    "data={name: adding, length: 6, train_size: 40, test_size: 20}",
)
CASES |= {
    "mlp stacked": ["engine=stacked", "measure.probe=0", *ONE_DIVERGES, TRAINED["sgd"].replace("0.1", "0.05")],
    "cnn stacked": ["engine=stacked", *MODELS["cnn"], TRAINED["adam"]],
    "lstm stacked": ["engine=stacked", *MODELS["lstm"], TRAINED["adam"]],
}

# One process that has torch loaded forks a child per attempt. The child counts the calls of Python and C functions and
# kills itself at one of them: in the middle of training, of a transaction, between a write and its rename.
ATTEMPTS = """
import json, os, random, signal, sqlite3, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from small import run_of
from winit_cli import stopping

stopping.COST = 0  # a checkpoint at every update, however long the last one took

ALWAYS = ("checkpoint_seconds=1e-9", "measure.every=5", "measure.test_every=25")

def attempt(folder, settings, fatal):
    # the status of a child that runs this, killed at its `fatal`-th call; the calls that took the first and the last
    # checkpoint, and how many it made in all
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        count, taken = 0, []
        def profile(frame, event, argument):
            nonlocal count
            if event in ("call", "c_call"):
                count += 1
                code = frame.f_code
                if event == "call" and code.co_name == "take" and "winit_cli/engine/" in code.co_filename:
                    taken.append(count)
                if count == fatal:
                    os.kill(os.getpid(), signal.SIGKILL)
        try:
            sys.setprofile(profile)
            run_of(folder, *settings)
            sys.setprofile(None)
            os.write(writing, json.dumps([taken[0], taken[-1], count] if taken else [1, count, count]).encode())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    made = os.read(reading, 100)
    os.close(reading)
    return os.waitstatus_to_exitcode(status), json.loads(made or "null")

def checkpoints(folder):
    found = 0
    for path in folder.glob("*/run.sqlite"):
        connection = sqlite3.connect(path)
        try:
            found = len(connection.execute("SELECT DISTINCT trial_id FROM checkpoints").fetchall())
        except sqlite3.OperationalError:  # killed before it was made
            pass
        connection.close()
    return found

for line in sys.stdin:
    order = json.loads(line)
    folder, settings, wanted = Path(order["folder"]), [*order["settings"], *ALWAYS], order["kills"]
    random.seed(order["seed"])
    run_of(folder / "warm", *settings)  # what is loaded once is not counted
    code, (first, last, calls) = attempt(folder / "whole", settings, 0)
    assert code == 0, "the uninterrupted run failed"
    whole = {path.name: path.read_bytes() for path in folder.glob("whole/*/*.csv") if path.name != "timings.csv"}
    kills = inside = rounds = 0
    while kills < wanted:
        results = folder / str(rounds)
        rounds += 1
        for _ in range(100):  # kills until a child gets through
            span = (first, last) if kills % 3 else (1, calls)  # two of three while it trains
            code, _ = attempt(results, settings, random.randint(*span) if kills < wanted else 0)
            if code == 0:
                break
            assert code == -signal.SIGKILL, code
            kills += 1
            inside += checkpoints(results)
        tables = {path.name: path.read_bytes() for path in results.glob("*/*.csv") if path.name != "timings.csv"}
        differing = [name for name in whole if tables.get(name) != whole[name]]
        assert not differing and tables.keys() == whole.keys(), (order, rounds, differing)
        assert checkpoints(results) == 0, "a finished run keeps no checkpoint"
    print(json.dumps({"kills": kills, "inside": inside, "tables": sorted(whole)}), flush=True)
"""


def quick(case: str) -> Any:
    """A case; those of the serial engine but the first are slow for what they add to it and to stacks."""
    is_quick = "engine=serial" not in CASES[case] or case == next(iter(CASES))
    return CASES[case] if is_quick else pytest.param(CASES[case], marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def forks() -> Iterator[subprocess.Popen[str]]:
    """The process that forks the attempts."""
    command = [sys.executable, "-c", ATTEMPTS, str(TESTS)]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=env, **pipes) as process:
        yield process
        process.stdin.close()
        process.kill()


def killed(forks: subprocess.Popen[str], folder: Path, settings: list[str], kills: int, seed: int) -> dict[str, Any]:
    """Runs killed at least so often and resumed, each to the same tables; what happened."""
    assert forks.stdin is not None and forks.stdout is not None and forks.stderr is not None
    order = {"folder": str(folder), "settings": settings, "kills": kills, "seed": seed}
    forks.stdin.write(json.dumps(order) + "\n")
    forks.stdin.flush()
    line = forks.stdout.readline()
    assert line, forks.stderr.read()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize("settings", [quick(case) for case in CASES], ids=CASES)
def test_a_killed_run_resumes_to_the_same_tables(
    settings: list[str], forks: subprocess.Popen[str], tmp_path: Path
) -> None:
    found = killed(forks, tmp_path, settings, kills=5, seed=1)
    assert found["kills"] >= 5
    assert found["inside"] >= 1, "no kill met a trial that had a checkpoint"
    assert {"trials.csv", "curves.csv", "gradients.csv", "init.csv", "summary.csv"} <= set(found["tables"])


@pytest.mark.slow
@pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
def test_a_run_killed_many_times_resumes_to_the_same_tables(
    settings: list[str], forks: subprocess.Popen[str], tmp_path: Path
) -> None:
    found = killed(forks, tmp_path, settings, kills=40, seed=2)
    assert found["kills"] >= 40 and found["inside"] >= 8
