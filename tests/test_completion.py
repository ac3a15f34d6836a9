"""Completion after Tab, driven as bash, zsh and fish drive it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from commands import winit

from winit_cli.cli import completion
from winit_cli.cli.sources import packaged
from winit_cli.data import DATASETS
from winit_cli.models import MODELS
from winit_cli.schemes import SCHEMES
from winit_cli.tables import Named

COMMAND = f"{sys.executable} -m winit_cli"
HEAVY = {"torch", "pandas", "matplotlib", "numpy", "scipy", "yaml"}
DRIVEN = f"""
import sys
from winit_cli.cli import main
try:
    main()
finally:
    heavy = {HEAVY} & sys.modules.keys()
    assert not heavy, heavy
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a config, two runs and one elsewhere; completion reads no more of runs than names."""
    monkeypatch.chdir(tmp_path)
    for run in ("results/mine-12345678", "results/other-90abcdef", "elsewhere/third-12345678"):
        Path(run).mkdir(parents=True)
        Path(run, "run.sqlite").touch()
    Path("results", "joined-12345678").mkdir()
    for name in ("mnist_of_mine.yaml", "notes.txt"):
        Path(name).touch()
    return tmp_path


def driven(**environment: str) -> list[str]:
    """What the process prints that a shell starts after Tab; it must not import anything heavy."""
    command, env = [sys.executable, "-c", DRIVEN], os.environ | environment
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def offered(*words: str) -> list[str]:
    """What bash is offered for the last word; a blank line means nothing, and files are completed as ever."""
    typed = "\n".join(["winit", *words])
    return driven(_WINIT_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=str(len(words)))


def names_of(table: Mapping[str, Named]) -> list[str]:
    return [name for row in table.values() for name in (row.name, *row.aliases)]


def test_names_are_those_of_the_tables() -> None:
    assert completion.schemes("") == names_of(SCHEMES)
    assert completion.models("") == names_of(MODELS)
    assert completion.data("") == names_of(DATASETS)


def test_bash_completes_schemes_and_the_last_of_a_list() -> None:
    assert offered("explain", "ort") == ["orthogonal"]
    assert offered("compare", "--schemes", "zeros,kaiming_") == ["zeros,kaiming_uniform", "zeros,kaiming_normal"]
    assert offered("compare", "--schemes", "kaiming_uniform,kaiming_") == ["kaiming_uniform,kaiming_normal"]


def test_bash_completes_configs_by_name_and_by_file() -> None:
    assert offered("run", "mnist") == ["mnist", "mnist_cnn", "mnist_lstm", "mnist_of_mine.yaml"]
    assert offered("run", "mnist", "papers/gl") == ["papers/glorot2010"]
    assert offered("check", "./m") == ["./mnist_of_mine.yaml"]
    assert offered("check", "nowhere/m") == [""]


def test_bash_completes_runs_of_the_results_directory() -> None:
    assert offered("report", "") == ["mine-12345678", "other-90abcdef"]
    assert offered("verify", "--results", "elsewhere", "") == ["third-12345678"]
    assert offered("export", "--results", "nowhere", "") == [""]
    assert offered("export", "mine-12345678", "--to", "sa") == ["safetensors"]


def test_zsh_and_fish_get_the_same() -> None:
    typed = {"_TYPER_COMPLETE_ARGS": "winit report m"}
    assert driven(_WINIT_COMPLETE="complete_zsh", **typed) == ["_arguments '*: :((\"mine-12345678\"))'"]
    fish = {"_WINIT_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args", **typed}
    assert driven(**fish) == ["mine-12345678"]


def test_a_shell_with_the_script_completes_the_line(here: Path) -> None:
    (here / "winit").write_text(f'#!/bin/sh\nexec {COMMAND} "$@"\n')
    (here / "winit").chmod(0o755)
    script = (
        'PATH=.:$PATH; eval "$(_WINIT_COMPLETE=source_bash winit)"; complete -p winit; COMP_CWORD=2\n'
        'COMP_WORDS=(winit verify oth); _winit_completion winit oth verify; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["complete -o default -F _winit_completion winit", "other-90abcdef"]


@pytest.mark.parametrize("option", ["--install-completion", "--show-completion"])
def test_help_names_the_options_that_install_it(option: str) -> None:
    assert option in winit("--help").stdout


def test_packaged_configs_come_first() -> None:
    assert completion.configs("")[: len(packaged())] == list(packaged())
