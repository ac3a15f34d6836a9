"""What `pip install` gets: what is declared, and a wheel that works in an environment without the checkout."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = ("vision", "parquet", "tensorboard", "ray")
AT_HAND = {"IPython"}  # imported only where it runs already


def names(requirements: list[str]) -> set[str]:
    """The distributions that requirements name."""
    return {re.split(r"[^\w.-]", text)[0].lower() for text in requirements}


def imported() -> set[str]:
    """The packages from outside that winit imports somewhere."""
    found = set()
    for path in (ROOT / "winit_cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            found |= {name.partition(".")[0] for name in modules}
    return found - {*sys.stdlib_module_names, "winit_cli"} - AT_HAND


def test_what_is_imported_is_declared() -> None:
    declared = names(PROJECT["dependencies"]).union(*(names(PROJECT["optional-dependencies"][key]) for key in EXTRAS))
    homes = packages_distributions()
    used = {module: {home.lower() for home in homes.get(module, [module])} for module in imported()}
    assert {"torch", "rich", "pyarrow"} <= used.keys()
    assert [module for module, found in used.items() if not found & declared] == []


def test_the_versions_of_python_are_those_that_the_classifiers_name() -> None:
    versions = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert versions == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == f">={versions[0]}"
    assert [(ROOT / name).is_file() for name in PROJECT["license-files"]] == [True]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution, which is built from the checkout."""
    for module in ("build", "hatchling"):
        pytest.importorskip(module, reason="make test installs what builds the package")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    assert len(list(out.glob("winit-*.tar.gz"))) == 1
    (found,) = out.glob("winit-*.whl")
    return found


@pytest.mark.slow
@pytest.mark.xdist_group("package")
def test_the_wheel_holds_the_package_and_the_configs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        there = {name for name in archive.namelist() if not name.startswith("winit-")}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "winit_cli").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    wanted |= {f"winit_cli/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "configs").rglob("*.*")}
    assert there == wanted


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The executables of an environment that has winit from the wheel, and its dependencies from the one that runs the
    tests: a ``.pth`` file names their directories, in which that of the checkout goes unread."""
    home = tmp_path_factory.mktemp("clean") / "env"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(pip, check=True, capture_output=True, text=True)
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text("\n".join(path for path in sys.path if "site-packages" in path))
    return home / "bin"


def ran(bin_: Path, *arguments: str, cwd: Path, **environment: str) -> str:
    """What a command of the clean environment prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "WINIT_RESULTS"))}
    command = [str(bin_ / arguments[0]), *arguments[1:]]
    done = subprocess.run(command, cwd=cwd, env=kept | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.xdist_group("package")
def test_the_wheel_works_without_the_checkout(installed: Path, tmp_path: Path) -> None:
    where = ran(installed, "python", "-c", "import winit_cli; print(winit_cli.__file__)", cwd=tmp_path).strip()
    assert Path(where).is_relative_to(installed.parent)
    cut = ("-s", "seeds=2", "-s", "train.steps=3", "-s", "data.train_size=200", "-s", "data.test_size=50")
    found = json.loads(ran(installed, "winit", "run", "mnist", *cut, "--json", "--quiet", cwd=tmp_path))
    assert found["state"] == "complete" and found["trials"]["ok"] == 20
    assert "mnist" in ran(installed, "winit", "list", "runs", cwd=tmp_path)
    assert Path(tmp_path, ran(installed, "winit", "report", "--format", "html", cwd=tmp_path).strip()).is_file()
    assert json.loads(ran(installed, "winit", "check", "papers/zeros", "--json", cwd=tmp_path))["trials"] == 32
    completing = {"_WINIT_COMPLETE": "complete_bash", "COMP_WORDS": "winit explain ort", "COMP_CWORD": "2"}
    assert ran(installed, "winit", cwd=tmp_path, **completing) == "orthogonal\n"
