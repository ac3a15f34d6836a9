"""A disk that is full at the i-th write, for every i: one message, nothing lost, and the same tables in the end."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from commands import winit
from small import Heard, bytes_of, run_of

from winit_cli.errors import StorageError
from winit_cli.report import write as write_report
from winit_cli.store.frames import read_run
from winit_cli.store.lock import FILE as LOCK
from winit_cli.store.reading import FILE

SETTINGS = ("checkpoint_seconds=1e-9", "train.steps=3")
WRITES = ("INSERT", "UPDATE", "DELETE", "CREATE", "REPLACE")
TESTS = Path(__file__).parent


class Disk:
    """Counts writes, and refuses the ``bad``-th (and all after it, if it ``stays`` full)."""

    def __init__(self, bad: int = 0, *, stays: bool = True) -> None:
        self.bad, self.stays, self.count = bad, stays, 0

    def refuses(self) -> bool:
        """Whether this write, one more, fails."""
        self.count += 1
        return self.bad > 0 and (self.count >= self.bad if self.stays else self.count == self.bad)

    @contextmanager
    def under(self, patch: pytest.MonkeyPatch) -> Iterator[None]:
        """All files and databases that are written lie on this disk."""
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                disk.check_sql(sql)
                return super().execute(sql, *values)

            def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
                disk.check_sql(sql)
                return super().executemany(sql, *values)

            def commit(self) -> None:
                disk.check_sql("INSERT")
                super().commit()

        connect = sqlite3.connect
        with patch.context() as inner:
            inner.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "factory": Connection}))
            for module, name in ((os, "fsync"), (os, "write"), (os, "ftruncate"), (Path, "replace"), (Path, "mkdir")):
                inner.setattr(module, name, self.checked(getattr(module, name)))
            yield

    def checked(self, real: Any) -> Any:
        """The function, on this disk."""

        def call(*arguments: Any, **options: Any) -> Any:
            if self.refuses():
                raise OSError(28, "No space left on device")
            return real(*arguments, **options)

        return call

    def check_sql(self, sql: str) -> None:
        """Refuse what would write."""
        if sql.startswith(WRITES) and self.refuses():
            raise sqlite3.OperationalError("database or disk is full")


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of a run on a good disk."""
    return bytes_of(run_of(tmp_path_factory.mktemp("good"), *SETTINGS))


@pytest.fixture(scope="module")
def writes(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many writes a run takes."""
    disk = Disk()
    with pytest.MonkeyPatch.context() as patch, disk.under(patch):
        run_of(tmp_path_factory.mktemp("counted"), *SETTINGS)
    return disk.count


def fails_and_recovers(folder: Path, disk: Disk, wanted: dict[str, bytes]) -> None:
    """The run that meets this disk says so once; with space again it completes to the same tables."""
    heard = Heard()
    with pytest.MonkeyPatch.context() as patch, disk.under(patch), pytest.raises(StorageError) as refused:
        run_of(folder, *SETTINGS, heard=heard)
    assert "full" in str(refused.value) or "No space left on device" in str(refused.value)
    assert "What was recorded before is kept; free space" in str(refused.value)
    for directory in folder.glob(f"*/{FILE}"):
        connection = sqlite3.connect(directory)
        if connection.execute("PRAGMA user_version").fetchone()[0]:
            there = connection.execute("SELECT trial FROM trials WHERE status = 'ok'").fetchall()
            assert {key for key, _ in heard.done} <= {key for (key,) in there}
            if there:
                assert len(read_run(directory.parent).trials) == 2
        connection.close()
    result = run_of(folder, *SETTINGS)
    assert bytes_of(result) == wanted
    left = [path.name for path in result.directory.iterdir() if path.name.startswith(".") and path.name != LOCK]
    assert left == []


PARTS = 7  # no multiple of what writing one table takes


@pytest.mark.parametrize("part", [pytest.param(i, marks=pytest.mark.slow) if i % 3 else i for i in range(PARTS)])
def test_a_disk_that_is_full_from_the_ith_write_on(
    part: int, writes: int, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    assert writes > 60
    for bad in range(1 + part, writes + 1, PARTS):
        fails_and_recovers(tmp_path / str(bad), Disk(bad), wanted)


@pytest.mark.slow
def test_a_disk_that_refuses_the_ith_write_alone(writes: int, wanted: dict[str, bytes], tmp_path: Path) -> None:
    """What fails once may be something that is tried again or done without, so the run may also end well."""
    failed = 0
    for bad in range(1, writes + 1):
        try:
            fails_and_recovers(tmp_path / str(bad), Disk(bad, stays=False), wanted)
            failed += 1
        except pytest.fail.Exception:
            assert bytes_of(run_of(tmp_path / str(bad), *SETTINGS)) == wanted
    assert failed > writes * 0.8


def test_a_report_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = run_of(tmp_path, *SETTINGS).directory
    run = read_run(directory)
    disk = Disk()
    with disk.under(monkeypatch):
        write_report(run)
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    assert disk.count >= 10
    for bad in (1, disk.count // 2, disk.count):
        with Disk(bad).under(monkeypatch):
            result = winit("report", directory)
        assert result.exit_code == 1
        assert "No space left on device. What was recorded before is kept" in result.stderr
        assert {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()} == before


REAL = """
import subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from commands import tables, winit, write
folder = Path(sys.argv[2])
changes = {"train": {"steps": 30, "batch_size": 16}, "measure": {"every": 1}, "checkpoint_seconds": 0.001}
config = write(folder / "c.yaml", **changes)
assert winit("run", config, "--results", folder / "good").exit_code == 0
(good,) = (folder / "good").iterdir()
sizes = {path.name: path.stat().st_size for path in good.iterdir()}
failed = 0
for share in [0.02, 0.2, 0.5, 0.8, 0.95]:
    results = folder / f"bad{share}"
    with small(results, share, sizes):
        result = winit("run", config, "--results", results)
        assert result.exit_code in (0, 1), result.output
        if result.exit_code == 1:
            failed += 1
            said = result.stderr
            assert said.count("winit: ") == 1 and "What was recorded before is kept" in said, said
        grow(results)
        assert winit("run", config, "--results", results).exit_code == 0, share
        (bad,) = results.iterdir()
        assert tables(bad) == tables(good), share
print(failed)
"""
LIMITED = """
import contextlib, resource
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
@contextlib.contextmanager
def small(results, share, sizes):
    limit(int(share * max(sizes.values())))
    yield
def grow(results):
    limit(resource.RLIM_INFINITY)
"""
TMPFS = """
import contextlib, subprocess
@contextlib.contextmanager
def small(results, share, sizes):
    results.mkdir()
    size = int(share * 1.3 * sum(sizes.values()))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", results], check=True)
    yield
    subprocess.run(["umount", results], check=True)
def grow(results):
    subprocess.run(["mount", "-o", "remount,size=64m", results], check=True)
"""


def really(program: str, folder: Path, *before: str) -> int:
    """Run the program in a process of its own; how many of its runs met a full disk."""
    command = [*before, sys.executable, "-c", program + REAL, str(TESTS), str(folder)]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_files_that_cannot_grow(tmp_path: Path) -> None:
    assert really(LIMITED, tmp_path) >= 4


@pytest.mark.slow
def test_a_small_file_system_that_fills_up(tmp_path: Path) -> None:
    own = ("unshare", "--map-root-user", "--mount")
    can = shutil.which("unshare") and shutil.which("mount")
    probe = f"mount -t tmpfs tmpfs {tmp_path}"
    if not can or subprocess.run([*own, "sh", "-c", probe], capture_output=True, check=False).returncode:
        pytest.skip("this machine does not let a user mount a file system")
    assert really(TMPFS, tmp_path, *own) >= 4
