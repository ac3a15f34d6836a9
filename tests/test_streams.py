"""Streams that nobody reads, that were never open or that are full: what they change of a command, and what not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import runs, write

pytestmark = pytest.mark.usefixtures("no_sets")  # an empty working directory

WINIT = f"{sys.executable} -m winit_cli"
UNREAD = {
    "pipe": "{} 2> said | true",
    "pipe of both": "{} 2>&1 | true",
    "closed": "{} >&- 2> said",
    "both closed": "{} >&- 2>&-",
    "stderr is full": "{} > /dev/null 2> /dev/full",
}
HEAVY = (("both closed", "schema"), ("pipe", "list schemes --json"))
WORN_OUT = """
from torch import nn

class Net(nn.Linear):
    def __init__(self, in_features, outputs):
        super().__init__(in_features, outputs)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        assert self.calls < 6
        return super().forward(x)
"""


def ended(command: str, arguments: str, **environment: str) -> int:
    """The exit code of a command in a shell that tells that of the first of a pipe; stdout is buffered as usual."""
    script = command.format(f"{WINIT} {arguments}") + "\nexit ${PIPESTATUS[0]}"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(["bash", "-c", script], env=buffered | environment, check=False).returncode


@pytest.mark.parametrize("how", [how if how == "pipe" else pytest.param(how, marks=pytest.mark.slow) for how in UNREAD])
def test_a_run_that_nobody_reads_is_done(how: str) -> None:
    write(Path("c.yaml"))
    write(Path("d.yaml"), name="other")
    assert ended(UNREAD[how], "run c.yaml d.yaml") == 0
    assert [json.loads((run / "status.json").read_text())["state"] for run in runs()] == ["complete"] * 2
    said = Path("said").read_text() if Path("said").exists() else ""
    assert "winit:" not in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("how", "arguments"),
    [
        *((how, arguments) for how in ("pipe", "both closed") for arguments in ("--help", "run --help", "--version")),
        *(("pipe", "schema"), ("both closed", "list schemes --json")),  # these import torch
        *(pytest.param(*more, marks=pytest.mark.slow) for more in HEAVY),
    ],
)
def test_other_commands_end_as_if_they_were_read(how: str, arguments: str) -> None:
    assert ended(UNREAD[how], arguments) == 0
    assert not Path("said").exists() or Path("said").read_text() == ""


@pytest.mark.parametrize("arguments", ["run c.yaml", pytest.param("run c.yaml --json", marks=pytest.mark.slow)])
def test_a_failure_is_told_though_nobody_reads(arguments: str) -> None:
    Path("net.py").write_text(WORN_OUT)
    write(Path("c.yaml"), model="mlp", seeds=1)
    assert ended(UNREAD["pipe"], f"{arguments} --model net.py:Net") == 1
    assert "2 trials failed" in Path("said").read_text()


@pytest.mark.parametrize(
    ("arguments", "unbuffered"),
    [
        *((arguments, unbuffered) for arguments in ("--help", "--version") for unbuffered in ("", "1")),
        *(("run c.yaml", ""), ("schema", "1")),
        *(pytest.param(*more, marks=pytest.mark.slow) for more in (("schema", ""), ("run c.yaml", "1"))),
    ],
)
def test_a_full_disk_is_an_error(arguments: str, unbuffered: str) -> None:
    write(Path("c.yaml"))
    assert ended("{} > /dev/full 2> said", arguments, PYTHONUNBUFFERED=unbuffered) == 1
    said = Path("said").read_text().splitlines()
    assert said[-1].startswith("winit: the system refused: [Errno 28] No space left on device")
    assert not any("Traceback" in line for line in said)
