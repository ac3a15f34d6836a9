"""The commands: what stands on stdout and stderr, what they write, how they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import winit, winit_json, write

from winit_cli import __version__

COMMANDS = [
    *("run", "compare", "report", "explain", "theory", "check", "list"),
    *("bench", "diff", "export", "init", "probe", "schema", "verify", "data", "data download"),
]
ESCAPE = "\x1b"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the small config."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "c.yaml")
    return tmp_path


def shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``winit`` as a process of its own."""
    command = [sys.executable, "-m", "winit_cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_help(command: str) -> None:
    result = winit(*command.split(), "--help")
    assert result.exit_code == 0
    assert "Usage: winit" in result.stdout
    assert result.stderr == ""


def test_help_and_the_list_of_commands_import_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from winit_cli.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'pandas', 'matplotlib', 'numpy', 'scipy', 'pydantic', 'yaml'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_version() -> None:
    assert winit("--version").stdout == f"winit {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chekc"], "Did you mean 'check'?"),
        (["run"], "Missing argument"),
        (["run", "c.yaml", "--what"], "No such option"),
        (["list", "scheme"], "'schemes'"),
        (["compare"], "Missing option '--schemes'"),
        (["run", "c.yaml", "-s"], "requires an argument"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_errors_exit_with_2(arguments: list[str], message: str) -> None:
    result = winit(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


JSON = {
    "run": ["run", "c.yaml"],
    "run of two": ["run", "c.yaml", "d.yaml"],
    "compare": [
        "compare",
        "--schemes",
        "zeros,he",
        "--data",
        "digits",
        "--model",
        "mlp",
        "--steps",
        "2",
        "--seeds",
        "1",
    ],
    "report": ["report", "--format", "md"],
    "check": ["check", "c.yaml"],
    "explain": ["explain", "he", "--layer", "conv:16x32x3,groups=4"],
    "theory": ["theory", "--activation", "tanh", "--sigma-b2", "0.05", "--critical"],
    "list schemes": ["list", "schemes"],
    "list models": ["list", "models"],
    "list data": ["list", "data"],
    "list runs": ["list", "runs"],
}


@pytest.mark.parametrize("arguments", JSON.values(), ids=JSON)
def test_json_is_one_document_on_stdout(arguments: list[str]) -> None:
    write(Path("d.yaml"), name="other")
    if arguments[0] == "report":
        winit("run", "c.yaml")
    result = winit(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    json.loads(result.stdout)
    assert result.stdout.startswith(("{", "["))


def test_json_of_a_run_says_where_it_is_and_ranks() -> None:
    found = winit_json("run", "c.yaml")
    assert Path(found["run"]).is_dir()
    assert found["state"] == "complete"
    assert found["trials"] == {"ok": 4, "diverged": 0, "failed": 0, "pending": 0}
    assert [row["label"] for row in found["ranking"]] == ["kaiming_normal", "zeros"]


def test_json_has_no_nan() -> None:
    result = winit("run", "c.yaml", "--json", "-s", "seeds=1", "-s", "train.lr=1e20", "-s", "train.steps=8")
    assert result.exit_code == 0, "a diverged trial is a result"

    def refuse(text: str) -> None:
        raise AssertionError(text)

    found = json.loads(result.stdout, parse_constant=refuse)
    assert found["trials"]["diverged"] >= 1


def test_tables_on_stdout_and_progress_on_stderr() -> None:
    result = winit("run", "c.yaml")
    assert result.exit_code == 0
    answer, _, table = result.stdout.partition("\n\n")
    assert answer.startswith("kaiming_normal and zeros share the first place")
    head, row, *_ = table.splitlines()
    assert head.split()[:2] == ["#", "label"]
    assert "kaiming_normal" in row.split()
    assert "4 trials to train, 16 trial-steps" in result.stderr
    assert "4/4 trials" in result.stderr
    assert "trial-steps/s" in result.stderr
    assert "trial-steps/s" not in result.stdout


def test_quiet_says_nothing_on_stderr() -> None:
    result = winit("run", "c.yaml", "--quiet")
    assert result.stderr == ""
    assert "kaiming_normal" in result.stdout


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    command = f"set -o pipefail; {sys.executable} -m winit_cli list schemes | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.split() == ["default"]


@pytest.mark.parametrize("how", ["NO_COLOR", "--no-color"])
def test_no_colours(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert ESCAPE in winit("explain", "zeros").stdout
    if how == "NO_COLOR":
        monkeypatch.setenv("NO_COLOR", "1")
    result = winit("explain", "zeros", *([how] if how.startswith("-") else []))
    assert "\x1b[3" not in result.stdout, "no colour"


@pytest.mark.parametrize("columns", ["40", "24"])
def test_a_narrow_terminal_keeps_every_label(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    result = winit("run", "c.yaml", "-s", "schemes=[he, zeros]", "--quiet")
    assert result.exit_code == 0
    assert "test accuracy" in result.stdout
    assert "zeros" in result.stdout
    assert "\nresults/small-" in result.stdout


def test_brackets_in_a_path_are_no_markup() -> None:
    result = winit("run", "c.yaml", "--results", "[red]r", "-s", "seeds=1")
    assert "[red]r/small-" in result.stdout
    assert winit("init", "[red]x.yaml").stdout == "wrote [red]x.yaml; next: winit run [red]x.yaml\n"


def test_as_a_module_and_its_exit_code() -> None:
    done = shell("list", "scheme")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "'schemes'" in done.stderr


def test_an_internal_error_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("broken")

    monkeypatch.setattr("winit_cli.config.read", fail)
    from typer.testing import CliRunner

    from winit_cli.cli import app

    result = CliRunner().invoke(app, ["check", "c.yaml"])
    assert result.exit_code == 1
    assert result.stderr == "winit: internal error: ZeroDivisionError: broken (WINIT_DEBUG=1 shows where)\n"
    assert "Traceback" in CliRunner().invoke(app, ["check", "c.yaml"], env={"WINIT_DEBUG": "1"}).stderr
