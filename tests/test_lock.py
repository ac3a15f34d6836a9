"""One writer per run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from winit_cli.errors import LockedError, StorageError
from winit_cli.store.lock import writing

HOLD = """
import sys
from pathlib import Path
from winit_cli.store.lock import writing
with writing(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_live_process_is_named_and_a_dead_one_is_not_in_the_way(tmp_path: Path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], **pipes) as owner:
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=rf"process {owner.pid} on .*; wait for it") as found, writing(tmp_path):
            pass
        assert found.value.exit_code == 4
        owner.kill()
    with writing(tmp_path):
        pass


def test_a_directory_that_cannot_be_made_is_one_message(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="cannot use"), writing(tmp_path / "file" / "run"):
        pass
