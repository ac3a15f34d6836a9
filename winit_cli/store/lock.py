"""One writer per run: a file that names its owner, with a heartbeat that other machines can see.

Three things keep writers apart. The operating system's advisory lock on the file, which ends with its process, decides
on one machine. Across machines, where such locks may be missing, the record in the file decides: an owner elsewhere is
gone once its heartbeat is two minutes old. And since neither is certain on every network file system, the owner's
token also stands in the store, and every transaction begins by asking whether it is still there.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from winit_cli.errors import LockedError
from winit_cli.store.files import refusals

FILE = ".lock"
BEAT_SECONDS = 10.0
STALE_SECONDS = 120.0


@dataclass(frozen=True)
class Owner:
    """Who writes a run. ``started`` is when its process started: ticks since boot, or blank where that is unknown."""

    host: str
    pid: int
    started: str
    token: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def this_process() -> Owner:
    """An owner with a token of its own."""
    return Owner(socket.gethostname(), os.getpid(), process_start(os.getpid()), secrets.token_hex(8))


@contextlib.contextmanager
def writing(directory: Path, *, take_over: bool = False) -> Iterator[Owner]:
    """Hold the lock of a run's directory, which is made if need be; with ``take_over`` whoever has it.

    Raises:
        LockedError: another live process holds it.
        StorageError: the directory cannot be written.
    """
    path, mine = directory / FILE, this_process()
    with refusals(directory):
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(path, mine, take_over)
    stop = threading.Event()
    threading.Thread(target=_beat, args=(path, mine, stop), daemon=True).start()
    try:
        yield mine
    finally:
        stop.set()
        with contextlib.suppress(OSError):  # a full disk: the process that ends frees the lock too
            if owner_in(path) == mine:
                os.truncate(path, 0)
        os.close(descriptor)


def live_owner(directory: Path) -> Owner | None:
    """Who is writing a run just now, as far as its lock tells."""
    path = directory / FILE
    try:
        owner = owner_in(path)  # the system's lock is not asked: a reader must not be in a writer's way
        return owner if owner is not None and _is_alive(path, owner, None) else None
    except OSError:
        return None


def taken_over(directory: Path, by: object) -> LockedError:
    """What the previous owner of a run says as it stops."""
    return LockedError(f"{directory} was taken over by {by}; this process stops and has written nothing since")


def owner_in(path: Path) -> Owner | None:
    """The record in a lock file; ``None`` where it is empty, half-written or gone."""
    try:
        return owner_of(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return None


def owner_of(record: Any) -> Owner | None:
    """An owner from its JSON."""
    try:
        return Owner(**record)
    except TypeError:  # none, or of another shape
        return None


def record_of(owner: Owner) -> dict[str, Any]:
    """An owner as JSON."""
    return asdict(owner)


def process_start(pid: int) -> str:
    """When a process started, in clock ticks since boot; blank where the system does not say or there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]  # the 22nd field; the second, in parentheses, may hold anything


def _acquire(path: Path, mine: Owner, take_over: bool) -> int:
    """An open descriptor of the lock file, ours."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if _is_current(path, descriptor):
                _claim(path, descriptor, mine, take_over)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _claim(path: Path, descriptor: int, mine: Owner, take_over: bool) -> None:
    locked = _flock(descriptor)
    owner = owner_in(path)
    if not take_over and (locked is False or (owner is not None and _is_alive(path, owner, locked))):
        who = owner or "another process"
        raise LockedError(
            f"{path.parent} is being written by {who}; wait for it, train beside it with --fresh, or, if you know that "
            "it is dead, take its place with --take-over"
        )
    text = json.dumps(record_of(mine)).encode()
    if locked is False:  # its owner keeps the lock on the old file, and finds another token in the store
        beside = path.with_name(f"{path.name}.{mine.token}.tmp")
        beside.write_bytes(text)
        beside.replace(path)
        fresh = os.open(path, os.O_RDWR)
        os.dup2(fresh, descriptor)
        os.close(fresh)
        _flock(descriptor)
    else:
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, text)
    if owner_in(path) != mine:  # another machine claimed it at the same moment, and came last
        raise LockedError(f"{path.parent} is being written by {owner_in(path) or 'another process'}; wait for it")


def _is_current(path: Path, descriptor: int) -> bool:
    """Whether the path still leads to the open file: whoever takes over replaces it."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False


def _flock(descriptor: int) -> bool | None:
    """Whether the operating system's lock is ours now; ``None`` where there is no such lock."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


def _is_alive(path: Path, owner: Owner, locked: bool | None) -> bool:
    """Whether an owner still writes, given what came of asking for the operating system's lock."""
    if locked is False:
        return True
    if owner.host != socket.gethostname():
        return _silence(path) < STALE_SECONDS
    if locked:  # it would hold the lock if it lived
        return False
    if owner.started:
        return process_start(owner.pid) == owner.started
    return _silence(path) < STALE_SECONDS


def _silence(path: Path) -> float:
    """Seconds since the last heartbeat, by the file system's own clock: those of two machines may differ."""
    probe = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        probe.touch()
        now = probe.stat().st_mtime
    except OSError:
        now = time.time()
    finally:
        probe.unlink(missing_ok=True)
    return now - path.stat().st_mtime


def _beat(path: Path, mine: Owner, stop: threading.Event) -> None:
    while not stop.wait(BEAT_SECONDS):
        with contextlib.suppress(OSError):
            if owner_in(path) == mine:
                os.utime(path)
