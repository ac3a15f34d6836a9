"""Ctrl-C and SIGTERM: what is finished is kept, and the resumed run equals one that nothing interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import tables, winit, winit_json, write

THREADS = {"OMP_NUM_THREADS": "1"}
LONG = {
    "schemes": ["kaiming_normal", "normal", "zeros"],
    "train": {"lr": [0.1], "batch_size": 16, "steps": 300},
    "measure": {"every": 20, "test_every": 60},
    "seeds": 2,
}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of the same config run in one go."""
    folder = tmp_path_factory.mktemp("whole")
    run = winit_json("run", write(folder / "c.yaml", **LONG), "--results", folder / "r", "--quiet")["run"]
    return tables(Path(run))


def interrupted(config: Path, results: Path, number: signal.Signals) -> tuple[int, str]:
    """Start a run in a process of its own and signal it as soon as one trial is done; how it ended."""
    command = [sys.executable, "-m", "winit_cli", "run", str(config), "--results", str(results)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | THREADS) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("1/6 trials"):
                process.send_signal(number)
        return process.wait(), "".join(said)


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
    ids=["Ctrl-C", "SIGTERM"],
)
def test_a_signal_keeps_what_is_finished(
    number: signal.Signals, code: int, word: str, tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    config, results = write(tmp_path / "c.yaml", **LONG), tmp_path / "r"
    ended, said = interrupted(config, results, number)
    assert ended == code
    assert said.splitlines()[-1] == f"winit: {word}; finished trials are kept, the same command goes on from there"
    assert "Traceback" not in said
    (run,) = results.iterdir()
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "interrupted"
    assert 1 <= status["trials"]["ok"] < 6
    assert not (run / "trials.csv").exists(), "tables are written at the end"

    resumed = winit("run", config, "--results", results)
    assert resumed.exit_code == 0
    assert f"{6 - status['trials']['ok']} trials of 300 steps to train" in resumed.stderr
    assert tables(run) == uninterrupted
    assert json.loads((run / "status.json").read_text())["state"] == "complete"
