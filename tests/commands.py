"""A config that trains in a moment, and the command line in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from small import DETERMINISTIC
from typer.testing import CliRunner

from winit_cli.cli import app

SMALL: dict[str, Any] = {
    "name": "small",
    "model": {"name": "mlp", "width": 6, "depth": 1},
    "data": {"name": "gaussian", "features": 8, "classes": 3, "train_size": 64, "test_size": 16},
    "schemes": ["kaiming_normal", "zeros"],
    "train": {"lr": [0.1], "batch_size": 16, "steps": 4},
    "seeds": 2,
}
ALL_CSV = {f"{name}.csv" for name in DETERMINISTIC}  # no clock


def write(path: Path, **changes: Any) -> Path:
    """Write the small config with top-level keys changed; ``None`` removes one."""
    config = {key: value for key, value in (SMALL | changes).items() if value is not None}
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


def winit(*arguments: object) -> Any:
    """Run a command; whatever ends it must be an exit code, never an exception."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    assert "internal error" not in result.output
    return result


def winit_json(*arguments: object) -> Any:
    """Run a command that must succeed with ``--json``, and read the one document on stdout."""
    result = winit(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def tables(run: Path) -> dict[str, bytes]:
    """The CSV files of a run that must not depend on the clock."""
    return {name: (run / name).read_bytes() for name in ALL_CSV}


def refused(*arguments: object) -> str:
    """What a command says as it ends with exit code 2, having written nothing."""
    before = sorted(Path.cwd().rglob("*"))
    result = winit(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("winit: ")
    assert sorted(Path.cwd().rglob("*")) == before
    return str(result.stderr).removeprefix("winit: ").rstrip()


def refused_text(text: str | bytes) -> str:
    """The message about a config with this text."""
    Path("c.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return refused("run", "c.yaml")


def refused_with(**changes: Any) -> str:
    """The message about the small config with top-level keys changed."""
    write(Path("c.yaml"), **changes)
    return refused("run", "c.yaml")


def runs() -> list[Path]:
    """The runs in the working directory."""
    return sorted(Path("results").iterdir())


def run_named(home: Path, name: str) -> Path:
    """The run with that name among the results of a directory."""
    (found,) = (home / "results").glob(f"{name}-*")
    return found
