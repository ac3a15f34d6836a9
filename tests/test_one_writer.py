"""One writer per run, whatever starts at once, dies, sleeps or lives elsewhere; readers are never in the way."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import tables, winit, write
from small import Heard, plan_of, run_of

from winit_cli.errors import LockedError, StorageError
from winit_cli.findings.notices import notices
from winit_cli.runner import How, run_plan
from winit_cli.store import lock
from winit_cli.store.frames import read_run
from winit_cli.store.lock import FILE, Owner, owner_in, record_of, this_process, writing
from winit_cli.store.runs import run_facts, state_of
from winit_cli.store.store import Store

THREADS = {"OMP_NUM_THREADS": "1"}
HOLD = """
import sys
from pathlib import Path
from winit_cli.store.lock import writing
with writing(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
PIPES: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
HERE = socket.gethostname()


def test_another_live_process_is_named_and_a_dead_one_is_not_in_the_way(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], **PIPES) as owner:
        assert owner.stdout is not None and owner.stdout.readline() == "held\n"
        said = rf"process {owner.pid} on {HERE}; wait for it.*--take-over"
        with pytest.raises(LockedError, match=said) as found, writing(tmp_path):
            pass
        assert found.value.exit_code == 4
        owner.kill()
        owner.wait()
        assert owner_in(tmp_path / FILE) is not None, "it had no time to clean up"
        with writing(tmp_path) as mine:
            assert owner_in(tmp_path / FILE) == mine
    assert owner_in(tmp_path / FILE) is None


def test_a_lock_can_be_taken_from_a_live_process(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], **PIPES) as owner:
        assert owner.stdout is not None and owner.stdin is not None and owner.stdout.readline() == "held\n"
        with writing(tmp_path, take_over=True) as mine:
            owner.stdin.close()
            assert owner.wait() == 0
            assert owner_in(tmp_path / FILE) == mine, "who was there before leaves the new record alone"
            with pytest.raises(LockedError), writing(tmp_path):
                pass


def leave(directory: Path, owner: Owner, seconds_ago: float = 0.0) -> None:
    """A lock file as an owner left it."""
    path = directory / FILE
    path.write_text(json.dumps(record_of(owner)))
    when = path.stat().st_mtime - seconds_ago
    os.utime(path, (when, when))


ELSEWHERE = replace(this_process(), host="elsewhere")
RECORDS = {  # who left the lock, seconds since it last said so, whether there is flock, whether it is held
    "elsewhere, alive": (ELSEWHERE, 60, True, True),
    "elsewhere, silent": (ELSEWHERE, 180, True, False),
    "elsewhere, alive, no flock": (ELSEWHERE, 60, False, True),
    "elsewhere, silent, no flock": (ELSEWHERE, 180, False, False),
    "dead process": (Owner(HERE, 2**22 + 1, "5", "x"), 0, True, False),
    "dead process, no flock": (Owner(HERE, 2**22 + 1, "5", "x"), 0, False, False),
    "this process, no flock": (this_process(), 0, False, True),
    "number used again, no flock": (replace(this_process(), started="1"), 0, False, False),
    "start unknown, alive, no flock": (replace(this_process(), started=""), 60, False, True),
    "start unknown, silent, no flock": (replace(this_process(), started=""), 180, False, False),
}


@pytest.mark.parametrize(("owner", "ago", "has_flock", "is_held"), RECORDS.values(), ids=RECORDS)
def test_whose_lock_is_whose(
    owner: Owner, ago: float, has_flock: bool, is_held: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(tmp_path, owner, ago)
    if not has_flock:
        monkeypatch.setattr(lock, "_flock", lambda descriptor: None)
    if is_held:
        with pytest.raises(LockedError, match=f"process {owner.pid} on {owner.host}"), writing(tmp_path):
            pass
    with writing(tmp_path, take_over=is_held) as mine:
        assert owner_in(tmp_path / FILE) == mine


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '{"host": 1}', "\0" * 50], ids=["empty", "half", "list", "odd", "zeros"]
)
def test_a_damaged_lock_is_in_nobodys_way(content: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(content)
    with writing(tmp_path) as mine:
        assert owner_in(tmp_path / FILE) == mine


def test_the_heartbeat_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_SECONDS", 0.001)
    path = tmp_path / FILE
    with writing(tmp_path):
        os.utime(path, (1, 1))
        for _ in range(10_000_000):
            if path.stat().st_mtime > 1:
                break
        assert path.stat().st_mtime > 1


def test_a_previous_owner_stops_before_its_next_commit(tmp_path: Path) -> None:
    directory = run_of(tmp_path).directory
    with writing(directory) as first, Store(directory, first) as old:
        old.set_meta(x=1)
        with writing(directory, take_over=True) as second, Store(directory, second) as new:
            with pytest.raises(LockedError, match=f"was taken over by process {os.getpid()} on {HERE}") as found:
                old.set_meta(x=2)
            assert found.value.exit_code == 4
            new.set_meta(y=3)
            assert (old.meta("x"), old.meta("y")) == (1, 3)


def test_a_run_that_is_taken_over_while_it_trains_stops_and_the_other_completes_it(tmp_path: Path) -> None:
    wanted = run_of(tmp_path / "whole").directory
    others = []

    class Taken(Heard):
        def trial_done(self, trial: Any, status: str, final: float | None) -> None:
            if not others:
                others.append(run_plan(plan_of(), tmp_path / "r", Heard(), How(take_over=True)))

    with pytest.raises(LockedError, match="was taken over by"):
        run_of(tmp_path / "r", heard=Taken())
    assert tables(others[0].directory) == tables(wanted)
    assert json.loads((others[0].directory / "status.json").read_text())["state"] == "complete"


def test_a_directory_that_cannot_be_made_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot use"), writing(tmp_path / "file" / "run"):
        pass


MANY = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from typer.testing import CliRunner
import winit_cli.orders as orders
from winit_cli.cli import app
from small import run_of
config, results, count = sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
run_of(results.with_name("warm"))
go = os.pipe()
refused = os.pipe()
children = []
for _ in range(count):
    child = os.fork()
    if child == 0:
        real = orders.train_stack
        def waiting(*arguments, **named):
            os.read(refused[0], count - 1) if not waited else None
            waited.append(1)
            return real(*arguments, **named)
        waited = []
        orders.train_stack = waiting
        os.read(go[0], 1)
        result = CliRunner().invoke(app, ["run", config, "--results", str(results)])
        said = result.stderr.replace("\\n", " ") if result.exit_code else ""
        os.write(1, f"{os.getpid()} {result.exit_code} {said}\\n".encode())  # in one piece
        os._exit(result.exit_code)
    children.append(child)
os.write(go[1], b"x" * count)
codes = []
for _ in range(count - 1):  # the winner waits until all others have ended
    child, status = os.wait()
    codes.append(os.waitstatus_to_exitcode(status))
os.write(refused[1], b"x" * (count - 1))
child, status = os.wait()
codes.append(os.waitstatus_to_exitcode(status))
print("codes", *codes)
"""


def test_of_eight_processes_that_start_at_once_one_runs(tmp_path: Path) -> None:
    config, results = write(tmp_path / "c.yaml"), tmp_path / "r"
    command = [sys.executable, "-c", MANY, str(Path(__file__).parent), str(config), str(results), "8"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | THREADS, timeout=300
    ).stdout.splitlines()
    assert done[-1] == "codes " + "4 " * 7 + "0"
    (winner,) = [line.split()[0] for line in done[:-1] if line.split()[1] == "0"]
    for line in done[:-1]:
        number, code, *said = line.split()
        assert number == winner or (code == "4" and f"process {winner} on" in " ".join(said))
    (run,) = results.iterdir()
    assert winit("verify", run).exit_code == 0


def test_readers_are_never_refused_and_say_that_a_run_is_not_whole(tmp_path: Path) -> None:
    config = write(tmp_path / "c.yaml", checkpoint_seconds=1e-9, train={"steps": 150, "batch_size": 16}, seeds=3)
    results = tmp_path / "r"
    command = [sys.executable, "-m", "winit_cli", "run", str(config), "--results", str(results), "--quiet"]
    partial = 0
    with subprocess.Popen(command, env=os.environ | THREADS, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            time.sleep(0.02)  # a core is for the run
            for run in results.glob("*/env.json"):
                frames = read_run(run.parent)
                facts = run_facts(run.parent)
                state = state_of(run.parent, facts)
                if frames.status["state"] == "running":
                    partial += 1
                    assert state in ("running", "complete", "interrupted")
                    assert notices(frames)[0].startswith("This run is not whole: its state is running")
    assert process.returncode == 0
    assert partial > 3


def test_a_killed_run_is_listed_as_interrupted(tmp_path: Path) -> None:
    directory = run_of(tmp_path).directory
    with writing(directory) as owner, Store(directory, owner) as store:
        store.write_status("running")
        assert state_of(directory, run_facts(directory)) == "running"
    assert state_of(directory, run_facts(directory)) == "interrupted"
    assert "interrupted" in winit("list", "runs", "--results", tmp_path).stdout


def test_a_run_that_was_only_just_begun_says_so(tmp_path: Path) -> None:
    with Store(tmp_path / "r-12345678"):
        with pytest.raises(StorageError, match="only just begun"):
            read_run(tmp_path / "r-12345678")
        assert winit("list", "runs", "--results", tmp_path).exit_code == 0
