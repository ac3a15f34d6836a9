"""A run in shards, joined: the bytes of the run that was never cut up, and what is said where it cannot be."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import refused, winit, winit_json, write
from small import Heard, bytes_of, plan_of

from winit_cli import runner
from winit_cli.engine.stack import Stack
from winit_cli.environment import environment
from winit_cli.errors import LockedError, UsageError
from winit_cli.merge import Merged, merge
from winit_cli.runner import How, Result, run_plan
from winit_cli.shards import Shard, parse_shard
from winit_cli.store.lock import writing
from winit_cli.store.runs import find_run, run_facts
from winit_cli.store.store import Store
from winit_cli.verify import verify

pytestmark = pytest.mark.usefixtures("one_thread")
THREE = ("schemes=[kaiming_normal, zeros]", "seeds=12")  # stacks of eight trials
OF = 3


def shard_of(results: Path, number: int, *settings: str, of: int = OF, heard: Heard | None = None) -> Result:
    """Train a shard of the small run."""
    return run_plan(plan_of(*THREE, *settings), results, heard or Heard(), How(shard=Shard(number, of)))


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All three; tests that change them copy them first."""
    results = tmp_path_factory.mktemp("shards")
    torch.set_num_threads(1)
    for number in (3, 1, 2):
        shard_of(results, number)
    return results


@pytest.fixture
def mine(shards: Path, tmp_path: Path) -> Path:
    """A copy of the three."""
    for path in shards.rglob("*"):
        if path.is_file():
            there = tmp_path / path.relative_to(shards)
            there.parent.mkdir(exist_ok=True)
            there.write_bytes(path.read_bytes())
    return tmp_path


def joined(results: Path, *texts: object, heard: Heard | None = None) -> Merged:
    return merge(results, [str(text) for text in texts], (heard or Heard()).note)


def stop(*_: object) -> None:
    raise KeyboardInterrupt


def why_not(results: Path, *texts: object) -> str:
    """What is said of shards that cannot be joined, on one line."""
    with pytest.raises(UsageError) as found:
        joined(results, *texts)
    return re.sub(r"\s+", " ", str(found.value))


def test_joined_shards_are_the_run_to_the_byte(mine: Path, tmp_path: Path) -> None:
    heard = Heard()
    found = joined(mine, heard=heard)
    whole = run_plan(plan_of(*THREE), tmp_path / "whole", Heard())
    assert found.directory.name == whole.directory.name and not heard.notes
    assert bytes_of(replace(whole, directory=found.directory)) == bytes_of(whole)
    for name in ("config.yaml", "status.json"):
        assert (found.directory / name).read_bytes() == (whole.directory / name).read_bytes()
    assert {path.name for path in found.directory.iterdir()} == {path.name for path in whole.directory.iterdir()}
    assert [finding.what for finding in verify(found.directory) if finding.is_whole is not True] == []


def test_a_shard_trains_its_share_alone(mine: Path, tmp_path: Path) -> None:
    heard = Heard()
    result = shard_of(tmp_path / "new", 2, heard=heard)
    assert heard.begun == (8, 0, 48) and result.counts["ok"] == 8
    assert [finding.what for finding in verify(result.directory) if finding.is_whole is False] == []
    again = shard_of(tmp_path / "new", 2)
    assert again.was_complete and again.counts == result.counts
    trained = {key for number in (1, 2, 3) for key in _keys(mine, number)}
    assert trained == {trial.key for trial in plan_of(*THREE).trials}


def _keys(results: Path, number: int) -> list[str]:
    directory = results / Shard(number, OF).directory(plan_of(*THREE).name)
    return [line.partition(",")[0] for line in (directory / "trials.csv").read_text().splitlines()[1:]]


def test_the_joined_run_goes_on_as_any_other(mine: Path) -> None:
    directory = joined(mine).directory
    heard = Heard()
    result = run_plan(plan_of(*THREE), mine, heard)
    assert result.was_complete and result.directory == directory
    more = run_plan(plan_of(*THREE[:1], "seeds=13"), mine, heard)
    assert more.counts["ok"] == 26 and heard.begun == (26, 24, 12)


def test_joining_twice_changes_nothing(mine: Path) -> None:
    first = joined(mine)
    before = {path.name: path.read_bytes() for path in first.directory.glob("*.csv")}
    second = joined(mine, first.directory.name)
    assert (first.was_there, second.was_there) == (False, True)
    assert {path.name: path.read_bytes() for path in first.directory.glob("*.csv")} == before


def test_joining_that_was_interrupted_is_done_again(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = Store.join, []

    def join(store: Store, other: Path) -> None:
        calls.append(other)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(store, other)

    monkeypatch.setattr(Store, "join", join)
    with pytest.raises(KeyboardInterrupt):
        joined(mine)
    found = joined(mine)
    assert len(calls) == 5 and not found.was_there
    assert json.loads((found.directory / "status.json").read_text())["trials"]["ok"] == 24


def test_a_shard_that_was_interrupted_goes_on(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Stack.update

    def update(stack: Stack, step: int) -> None:
        if step == 4:
            raise KeyboardInterrupt
        real(stack, step)

    monkeypatch.setattr(Stack, "update", update)
    with pytest.raises(KeyboardInterrupt):
        shard_of(tmp_path / "new", 2, "checkpoint_seconds=1e-9")
    monkeypatch.undo()
    torch.set_num_threads(2)  # those that it was started with are restored
    result = shard_of(tmp_path / "new", 2, "checkpoint_seconds=1e-9")
    torch.set_num_threads(1)
    whole = mine / result.directory.name
    assert (result.directory / "curves.csv").read_bytes() == (whole / "curves.csv").read_bytes()


def test_a_trial_that_failed_has_failed_in_the_joined_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def update(stack: Stack, step: int) -> None:
        raise ValueError("no more")

    shard_of(tmp_path, 1, of=2)
    monkeypatch.setattr(Stack, "update", update)
    shard_of(tmp_path, 2, of=2)
    monkeypatch.undo()
    found = joined(tmp_path)
    assert len(found.failures) == 8 and "no more" in found.failures[0]
    assert json.loads((found.directory / "status.json").read_text())["state"] == "failed"
    assert run_plan(plan_of(*THREE), tmp_path, Heard()).counts["ok"] == 24


def test_other_machines_are_named_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard_of(tmp_path, 1, of=2)
    monkeypatch.setattr(runner, "environment", lambda device: environment(device) | {"cpu": "another"})
    shard_of(tmp_path, 2, of=2)
    heard = Heard()
    found = joined(tmp_path, heard=heard)
    (said,) = heard.notes
    assert re.fullmatch(r"shard 2/2 ran with cpu another, not .+ as shard 1/2 did: last digits may differ", said)
    assert run_facts(found.directory)["env"]["shards"] == [said]


@pytest.mark.parametrize("text", ["0/9", "10/9", "x", "3", "3/", "/9", "3/0", "-1/9", "1.5/9", "3/9/2", " 3/9", "٣/٩"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected NUMBER/OF, such as 3/9"):
        parse_shard(text)


@pytest.mark.usefixtures("no_sets")
def test_mistakes_on_the_command_line_write_nothing() -> None:
    write(Path("c.yaml"))
    assert "expected NUMBER/OF" in refused("run", "c.yaml", "--shard", "10/9")
    said = " ".join(refused("run", "c.yaml", "--shard", "1/2", "--quiet").split())
    assert "this run has 1 stack to share, so at most 1 shards; use --shard N/1, or a smaller --memory" in said
    assert "a shard decides no claims" in refused("run", "c.yaml", "--shard", "1/1", "--strict-claims")
    assert "no shards under results; make them with" in refused("merge")
    assert "no run 'nothing'" in refused("merge", "nothing")
    Path("empty").mkdir()
    assert "no run 'empty'" in refused("merge", "empty")


def test_other_threads_are_refused_before_anything_trains(mine: Path) -> None:
    name = Shard(2, OF).directory(plan_of(*THREE).name)
    for path in (mine / name).iterdir():
        path.unlink()
    (mine / name).rmdir()
    torch.set_num_threads(2)
    with pytest.raises(UsageError, match=r"divides the run into other stacks.*it has 1 threads and 8 GiB, here 2"):
        shard_of(mine, 2)
    assert not (mine / name).exists()


MISSING = "missing: shard 1/3, 3/3; to train one: winit run CONFIG --shard 1/3"


def test_missing_shards_are_named(mine: Path) -> None:
    assert MISSING in why_not(mine, mine / Shard(2, OF).directory(plan_of(*THREE).name))
    assert not (mine / plan_of(*THREE).name).exists()


def one_more(mine: Path, folder: Path, *settings: str, of: int = OF) -> Path:
    """A second shard 2 from elsewhere."""
    return shard_of(folder / "more", 2, *settings, of=of).directory


ELSE: dict[str, tuple[dict[str, Any], str]] = {
    "overlap": ({}, r"shard 2/3 is there 2 times: .*more.*; name one of them"),
    "another number": ({"of": 2}, r"is one of 2, shard 1/3 .* one of 3"),
    "another config": ({"settings": ["train.lr=0.2"]}, r"is of the run small-\w{8}, .* of small-\w{8}: their configs"),
    "another claim": ({"settings": ["claims=[zeros stuck]"]}, r"has another config than .* \(claims\)"),
}


@pytest.mark.parametrize(("changes", "said"), ELSE.values(), ids=ELSE)
def test_shards_that_do_not_fit_are_named(changes: dict[str, Any], said: str, mine: Path, tmp_path: Path) -> None:
    other = one_more(mine, tmp_path, *changes.get("settings", ()), of=changes.get("of", OF))
    assert re.search(said, why_not(mine, plan_of(*THREE).name, other))


def test_shards_of_other_stacks_are_named(mine: Path, tmp_path: Path) -> None:
    torch.set_num_threads(2)
    other = one_more(mine, tmp_path)
    said = why_not(mine, plan_of(*THREE).name, other)
    assert re.search(r"divides the run into other stacks than shard 1/3 .*\(threads 2, not 1\); train one", said)


def test_an_unfinished_shard_is_named(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stack, "update", stop)
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan_of(*THREE), mine, Heard(), How(shard=Shard(2, OF), fresh=True))
    (begun,) = mine.glob("*-shard2of3-2")
    parts = [mine / Shard(number, OF).directory(plan_of(*THREE).name) for number in (1, 3)]
    assert "is not done (8 trials left): its own command goes on where it stopped" in why_not(mine, begun, *parts)


def test_a_shard_that_is_being_written_is_named(mine: Path) -> None:
    directory = mine / Shard(2, OF).directory(plan_of(*THREE).name)
    with writing(directory) as owner:
        assert f"is not done (0 trials left): {owner} is writing it" in why_not(mine)


def test_a_run_that_is_written_is_not_joined_into(mine: Path) -> None:
    with writing(mine / plan_of(*THREE).name), pytest.raises(LockedError, match="is being written by process"):
        joined(mine)


def test_whole_runs_are_no_shards(mine: Path) -> None:
    directory = joined(mine).directory
    assert "is a whole run and no shard" in why_not(mine, directory)
    assert find_run(mine, "small") == directory, "shards do not stand in its way"


def test_a_run_that_was_begun_otherwise_is_left_alone(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stack, "update", stop)
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan_of(*THREE), mine, Heard(), How(fresh=True))
    assert "was begun without shards and is not done" in why_not(mine)


def test_a_damaged_shard_is_named(mine: Path) -> None:
    directory = mine / Shard(2, OF).directory(plan_of(*THREE).name)
    with Store(directory) as store:
        store.connection.execute("UPDATE curves SET loss = 1 WHERE step = 2")
    result = winit("merge", "--results", mine)
    assert result.exit_code == 1 and "is damaged in 8 of 8 trials" in " ".join(result.stderr.split())


def test_the_command_shows_the_result(mine: Path) -> None:
    found = winit_json("merge", "--results", mine)
    assert found["run"] == str(mine / plan_of(*THREE).name)
    assert len(found["ranking"]) == 2
    assert "is there already; nothing to join" in winit("merge", "--results", mine).stderr


@pytest.mark.usefixtures("no_sets")
def test_claims_are_decided_by_merge() -> None:
    write(Path("c.yaml"), claims=["zeros learned", "kaiming_normal act_variance[layer=layers.0] > 0"], seeds=8)
    for number in (1, 2):
        told = winit_json("run", "c.yaml", "--shard", f"{number}/2")
        assert told["shard"] == f"{number}/2" and told["trials"]["ok"] == 8
    result = winit("merge", "--strict-claims")
    assert result.exit_code == 3 and "not supported: " in result.stderr


SHIM = """#!/bin/bash
printf '%s\n' "OMP_NUM_THREADS=$OMP_NUM_THREADS" "$@" > "$TOLD"
echo 17
"""
README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def heard_by(command: str, script: str, *arguments: str, **environment: str) -> list[str]:
    """What a script gives to a command that stands in its place: its threads, and the last arguments."""
    folder = Path.cwd() / "bin"
    folder.mkdir(exist_ok=True)
    (folder / command).write_text(SHIM)
    (folder / command).chmod(0o755)
    told = folder / "told"
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "TOLD": str(told), **environment}
    subprocess.run(["bash", "-c", script, "script", *arguments], env=env, check=True)
    return told.read_text().splitlines()


@pytest.mark.usefixtures("no_sets")
def test_the_array_job_of_the_readme(tmp_path: Path) -> None:
    """Every task of it, as SLURM would start them, and the job that joins."""
    (script,) = re.findall(r"```bash\n(#!/bin/bash\n#SBATCH.*?)```", README, flags=re.DOTALL)
    (submit,) = re.findall(r"```bash\n(\w+=\$\(sbatch.*?)```", README, flags=re.DOTALL)
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)", script, flags=re.MULTILINE))
    first, last = map(int, options["array"].split("-"))
    write(Path("mine.yaml"), seeds=16)
    for task in range(first, last + 1):
        slurm = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_CPUS_PER_TASK": options["cpus-per-task"]}
        threads, *arguments = heard_by("winit", script, "mine.yaml", **slurm)
        assert threads == f"OMP_NUM_THREADS={options['cpus-per-task']}"
        assert winit(*arguments).exit_code == 0
    _, dependency, wrap, then = heard_by("sbatch", submit)
    assert (dependency, wrap) == ("--dependency=afterok:17", "--wrap")
    _, *words = shlex.split(then)
    assert winit(*words).exit_code == 0
    (whole,) = (path for path in Path("results").iterdir() if "shard" not in path.name)
    assert json.loads((whole / "status.json").read_text())["trials"]["ok"] == 32
