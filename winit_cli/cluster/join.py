"""Start a cluster on this machine, or join one."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

from winit_cli.errors import StorageError, UsageError
from winit_cli.stopping import SIGNALS

REACH_SECONDS = 5.0
FORMS = (
    "--on ray (a cluster on this machine), --on auto (the one that runs here, or $RAY_ADDRESS) or --on ray://HOST:PORT"
)


def import_ray() -> Any:
    """Ray, where it is installed.

    Raises:
        UsageError: it is not.
    """
    try:
        import ray
    except ImportError:
        raise UsageError("--on needs Ray, which is not installed: pip install 'winit[ray]'") from None
    return ray


def check_cluster(on: str, device: str, gpus: float) -> None:
    """Refuse what cannot be, before anything is loaded.

    Raises:
        UsageError: Ray is not installed, or an option is none.
        StorageError: nobody answers at the address.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {device}: with --on, Ray picks the GPU of each stack; use auto, cpu or cuda")
    if not (0 < gpus <= 1 or (gpus > 1 and gpus == int(gpus))):
        raise UsageError(f"--gpus {gpus:g}: expected a share of one GPU, such as 0.25, or a whole number of them")
    check_address(on)
    import_ray()


def check_address(text: str) -> None:
    """Refuse what ``--on`` does not know, and what nobody answers at.

    Raises:
        UsageError: it is none of the three forms.
        StorageError: nobody listens there.
    """
    if text not in ("ray", "auto") and not text.startswith("ray://"):
        raise UsageError(f"--on {text}: use {FORMS}")
    address = os.environ.get("RAY_ADDRESS", "") if text == "auto" else "" if text == "ray" else text
    if not address or address == "auto":
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 2**16):
        raise UsageError(f"--on {text}: {address} is no HOST:PORT; use {FORMS}")
    try:
        socket.create_connection((host, int(port)), REACH_SECONDS).close()
    except OSError as error:
        why = error.strerror or str(error)
        raise StorageError(f"--on {text}: no Ray cluster answers at {host}:{port} ({why}); is it up?") from None


@contextlib.contextmanager
def joined(text: str) -> Iterator[Any]:
    """Ray, connected to a cluster until the end; one that the process had joined before stays joined.

    Raises:
        UsageError: Ray is not installed, or the address is none.
        StorageError: there is no such cluster.
    """
    check_address(text)
    ray = import_ray()
    if ray.is_initialized():
        yield ray
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    where: dict[str, Any] = {"address": "local", "include_dashboard": False} if text == "ray" else {"address": text}
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        ray.init(**where, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, SystemExit) as error:
        said = str(error).strip().partition("\n")[0] or "it does not answer"
        raise StorageError(f"--on {text}: no Ray cluster could be joined: {said}") from None
    finally:
        with contextlib.suppress(ValueError):  # not the main thread, where Ray leaves them alone too
            for number, handler in before.items():
                signal.signal(number, handler)
    _hush()
    try:
        yield ray
    finally:
        ray.shutdown()


def _hush() -> None:
    """Keep the logs of nodes that die, which Ray prints by the page, off the screen: the pool says what is lost."""
    from ray._private import worker

    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None
