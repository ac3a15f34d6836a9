"""What a run ran on: versions, processor, device, threads, commit."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch

from winit_cli import __version__
from winit_cli.errors import UsageError

SHOWN_IF_DIFFERENT = ("winit", "python", "numpy", "cpu", "threads")
REFUSED_IF_DIFFERENT = ("torch", "cpu_capability", "gpu")  # with these, the same steps give other bits


def resolve_device(text: str) -> str:
    """``cpu``, ``cuda`` or ``cuda:N`` from what the user asked for; ``auto`` is CUDA where there is one.

    Raises:
        UsageError: no such device here.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if text == "auto":
        return "cuda" if count else "cpu"
    kind, colon, index = text.partition(":")
    if kind not in ("cpu", "cuda") or (colon and not (kind == "cuda" and index.isdecimal())):
        raise UsageError(f"unknown device '{text}'; use auto, cpu, cuda or cuda:N")
    if kind == "cuda" and (not count or (index and int(index) >= count)):
        there = f"it sees {count} GPU(s), numbered from 0" if count else "torch sees no CUDA GPU here"
        raise UsageError(f"--device {text}: {there}; use --device cpu, or auto")
    return text


def resolve_devices(text: str, *, elsewhere: bool = False) -> tuple[str, ...]:
    """The devices that stacks train on side by side, from what the user asked for: ``cuda:0,cuda:1``, or ``cuda:all``.
    A GPU that is ``elsewhere`` need not be here.

    Raises:
        UsageError: no such device here, or one of another kind than CUDA among several.
    """
    if elsewhere and text == "cuda":
        return (text,)
    if text == "cuda:all":
        resolve_device("cuda")
        return tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))
    names = text.split(",")
    if len(names) > 1 and not all(name.startswith("cuda:") for name in names):
        raise UsageError(
            f"--device {text}: several devices are GPUs, each by its number: cuda:0,cuda:1, or cuda:all (on a "
            "processor stacks train side by side anyway, one for each thread)"
        )
    return tuple(map(resolve_device, names))


def environment(device: str) -> dict[str, Any]:
    """The facts of ``env.json``."""
    cuda = torch.device(device).type == "cuda" and torch.cuda.is_available()
    return {
        "winit": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device,
        "gpu": torch.cuda.get_device_name(device) if cuda else None,
        "git_commit": _commit(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any], keys: Sequence[str] = SHOWN_IF_DIFFERENT) -> str:
    """What differs between two environments: ``torch 2.12.0, not 2.13.0``."""
    keys = [key for key in keys if key in theirs and theirs[key] != ours[key]]
    return ", ".join(f"{key} {theirs[key]}, not {ours[key]}" for key in keys)


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The commit of the git checkout that the command was started in, if it is one."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
