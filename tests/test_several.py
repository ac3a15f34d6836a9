"""`winit run a.yaml b.yaml`: nothing trains before all are looked at, and one that cannot be run stops no other."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from commands import refused, runs, winit, write

from winit_cli.errors import StorageError
from winit_cli.store.lock import writing


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with three configs."""
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c"):
        write(tmp_path / f"{name}.yaml", name=name, seeds=1, schemes=["zeros"])


def test_every_fault_of_every_config_is_said_before_anything_trains() -> None:
    write(Path("unfit.yaml"), schemes=["dirac"])
    write(Path("typos.yaml"), schemes=["zeroes"], model="mpl")
    lines = refused("run", "a.yaml", "unfit.yaml", "typos.yaml", "nowhere.yaml", "b.yaml").splitlines()
    assert lines[0] == "nothing was trained, as some of the 5 configs cannot be run"
    said = [line.strip() for line in lines[1:]]
    assert said[0].startswith("unfit.yaml:13:3: label dirac: 'dirac' cannot fill layers.0.weight")
    assert "unknown model 'mpl'" in said[1] and "unknown scheme 'zeroes'" in said[2]
    assert said[3:] == ["nowhere.yaml does not exist; winit init nowhere.yaml writes a starter"]


def test_what_is_wrong_with_the_command_is_said_once() -> None:
    message = refused("run", "a.yaml", "b.yaml", "--device", "cuda:one")
    assert message.count("unknown device 'cuda:one'") == 1


def test_tables_stand_under_the_names_of_their_configs() -> None:
    result = winit("run", "b.yaml", "a.yaml", "--quiet")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    first, second = lines.index("1/2 b.yaml"), lines.index("2/2 a.yaml")
    assert [line.split("-")[0] for line in lines if line.startswith("results/")] == ["results/b", "results/a"]
    assert first < next(i for i, line in enumerate(lines) if line.startswith("results/b")) < second


def test_a_run_that_another_process_writes_stops_no_other() -> None:
    assert winit("run", "b.yaml").exit_code == 0
    (taken,) = runs()
    with writing(taken):
        result = winit("run", "a.yaml", "b.yaml", "c.yaml", "--json")
    assert result.exit_code == 4
    documents = json.loads(result.stdout)
    assert [document.get("state") for document in documents] == ["complete", None, "complete"]
    assert documents[1]["config"] == "b.yaml" and "is being written by process" in documents[1]["error"]
    assert "b.yaml: " in result.stderr
    assert len(runs()) == 3


def test_the_exit_code_is_that_of_the_worst_end() -> None:
    write(Path("b.yaml"), name="b", schemes=["zeros"], claims=["zeros final_test_accuracy > 0.99"])
    assert winit("run", "a.yaml", "b.yaml", "--strict-claims").exit_code == 3
    (taken,) = Path("results").glob("a-*")
    with writing(taken):
        assert winit("run", "a.yaml", "b.yaml", "--strict-claims").exit_code == 4
    Path("file").touch()
    assert winit("run", "a.yaml", "b.yaml", "--strict-claims", "--results", "file/under").exit_code == 1


def test_a_download_that_is_refused_hides_no_other_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise StorageError("cannot download the set: no network")

    plan = importlib.import_module("winit_cli.plan")
    load = plan._load
    monkeypatch.setattr(plan, "_load", lambda v, d: refuse() if v.experiment.data.name == "digits" else load(v, d))
    write(Path("remote.yaml"), data="digits")
    write(Path("unfit.yaml"), schemes=["dirac"])
    result = winit("run", "a.yaml", "remote.yaml", "unfit.yaml")
    assert result.exit_code == 1 and result.stdout == ""
    lines = [line.strip() for line in result.stderr.splitlines()]
    assert lines[:2] == [
        "winit: nothing was trained, as some of the 3 configs cannot be run",
        "remote.yaml: cannot download the set: no network",
    ]
    assert lines[2].startswith("unfit.yaml:13:3: label dirac")
    assert not Path("results").exists()


def test_known_names_are_listed_once() -> None:
    message = refused("run", "zzz", "a.yaml", "mnistt", "yyy")
    assert message.count("known: ") == 1 and message.count("papers/glorot2010") == 1
    lines = [line.strip() for line in message.splitlines()]
    assert lines[1].startswith("no file 'zzz' and no packaged config of that name; known: ")
    assert "no file 'mnistt'" in lines[2] and lines[3] == "no file 'yyy' and no packaged config of that name"


def test_a_setting_that_fits_no_config_is_told_once() -> None:
    lines = refused("run", "a.yaml", "b.yaml", "-s", "train.rate=1").splitlines()
    assert len(lines) == 2 and "train.rate" in lines[1] and "yaml" not in lines[1]
