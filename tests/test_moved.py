"""Runs that were moved or copied: reported, verified, resumed; with other versions or devices explained and refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from commands import winit
from small import Heard, bytes_of, plan_of, run_of
from test_resume import ENGINES, THIRD, TWO, Stop, break_off

from winit_cli import stopping
from winit_cli.errors import StorageError, UsageError
from winit_cli.runner import How, run_plan
from winit_cli.store.digest import sign
from winit_cli.store.lock import writing
from winit_cli.store.store import Store

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.parametrize("engine", ENGINES)]


@pytest.fixture(autouse=True)
def _checkpoint_at_every_update(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "COST", 0)


def settings_of(engine: str) -> tuple[str, ...]:
    """Four trials, or two stacks of two."""
    return (*TWO, f"engine={engine}", "checkpoint_seconds=1e-9")


def interrupted(results: Path, engine: str) -> Path:
    """A run whose third trial, or second stack, stopped in the middle."""
    with pytest.MonkeyPatch.context() as patch:
        break_off(patch, THIRD, Stop(), after=3)
        with pytest.raises(Stop):
            run_of(results, *settings_of(engine))
    (directory,) = results.iterdir()
    return directory


def test_a_moved_run_is_reported_verified_and_resumed(engine: str, tmp_path: Path) -> None:
    wanted = bytes_of(run_of(tmp_path / "whole", *settings_of(engine)))
    interrupted(tmp_path / "here", engine)
    shutil.move(tmp_path / "here", tmp_path / "there")
    (moved,) = (tmp_path / "there").iterdir()
    assert winit("report", moved, "--format", "html").exit_code == 0
    assert "not whole" in (moved / "report.html").read_text(encoding="utf-8")
    checked = winit("verify", moved)
    assert checked.exit_code == 0
    assert "unknown tables: not written before the run is complete" in checked.stdout
    heard = Heard()
    assert bytes_of(run_of(tmp_path / "there", *settings_of(engine), heard=heard)) == wanted
    assert [key for key, _ in heard.done] == [THIRD, "zeros@width=7/0.1/0"]
    assert heard.steps < 12, "the interrupted trial went on from its checkpoint"


def test_other_versions_and_devices_are_explained_and_fresh_is_offered(engine: str, tmp_path: Path) -> None:
    directory = interrupted(tmp_path, engine)
    with Store(directory) as store:
        env = store.meta("env")
    for key, value in {"torch": "1.0", "cpu_capability": "AVX9000", "gpu": "a big one"}.items():
        with Store(directory) as store:
            store.set_meta(env=env | {key: value})
        before = (directory / "run.sqlite").stat().st_size
        with pytest.raises(UsageError, match=rf"was started with {key} {value}, not .*--fresh") as refused:
            run_of(tmp_path, *settings_of(engine))
        assert refused.value.exit_code == 2
        assert (directory / "run.sqlite").stat().st_size == before
        assert winit("report", directory, "--format", "md,json").exit_code == 0
    assert run_of(tmp_path, *settings_of(engine), fresh=True).counts["ok"] == 4


def test_other_versions_do_not_matter_before_anything_was_trained(engine: str, tmp_path: Path) -> None:
    result = run_of(tmp_path, *settings_of(engine))
    with Store(result.directory) as store:
        store.connection.execute("UPDATE trials SET status = 'pending'")
        store.set_meta(env=store.meta("env") | {"torch": "1.0"})
    assert run_of(tmp_path, *settings_of(engine)).counts["ok"] == 4


def test_threads_are_those_that_the_run_began_with(engine: str, tmp_path: Path) -> None:
    directory = interrupted(tmp_path, engine)
    with Store(directory) as store:
        store.set_meta(env=store.meta("env") | {"threads": 2})
    seen = []

    class Seeing(Heard):
        def advance(self, updates: int) -> None:
            seen.append(torch.get_num_threads())

    run_of(tmp_path, *settings_of(engine), heard=Seeing())
    assert set(seen) == {2}


def test_a_trial_that_begins_otherwise_here_does_not_go_on(engine: str, tmp_path: Path) -> None:
    directory = interrupted(tmp_path, engine)
    with writing(directory) as owner, Store(directory, owner) as store, store.transaction():
        store.connection.execute("UPDATE trials SET init_hash = 'ab' WHERE id = 2")
        sign(store.connection, [2])
    with pytest.raises(StorageError, match=r"kaiming_normal@width=7/0\.1/0 begins with other weights here.*--fresh"):
        run_of(tmp_path, *settings_of(engine))


def test_fail_fast_stops_at_the_first_failing_trial(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        break_off(patch, "zeros@width=6/0.1/0", RuntimeError("no luck"))
        heard = Heard()
        result = run_plan(plan_of(*settings_of(engine)), tmp_path, heard, How(fail_fast=True))
    ended = {"serial": {"ok": 1, "failed": 1}, "stacked": {"ok": 0, "failed": 2}}  # the trials of a stack fail together
    assert result.counts == {**ended[engine], "diverged": 0, "pending": 2}
    assert heard.notes[-1] == "stopped at the first failed trial (--fail-fast)"
    assert run_of(tmp_path, *settings_of(engine)).counts["ok"] == 4
