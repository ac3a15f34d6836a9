"""`winit list runs` with conditions and an order."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import refused, winit, winit_json, write


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs that differ in name, model, labels and number of trials, the last one the oldest by name."""
    home = tmp_path_factory.mktemp("home")
    for name, changes in (
        ("cc", {"seeds": 1}),
        ("bb", {"schemes": ["zeros", "kaiming_uniform", "orthogonal"]}),
        ("aa", {"model": "lstm", "data": {"name": "adding", "train_size": 64, "test_size": 16}, "schemes": ["zeros"]}),
    ):
        path = write(home / "c.yaml", name=name, measure={"probe": 0}, **changes)
        assert winit("run", path, "--results", home / "results").exit_code == 0
    return home


@pytest.fixture(autouse=True)
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def names(*arguments: str) -> list[str]:
    """The experiments that are listed."""
    return [row["run"].partition("-")[0] for row in winit_json("list", "runs", *arguments)]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], ["aa", "bb", "cc"]),
        (["--reverse"], ["cc", "bb", "aa"]),
        (["--sort", "started"], ["aa", "bb", "cc"]),
        (["--sort", "run", "--reverse"], ["cc", "bb", "aa"]),
        (["--sort", "trials"], ["bb", "aa", "cc"]),
        (["--sort", "data"], ["aa", "bb", "cc"]),
        (["--where", "model=LSTM"], ["aa"]),
        (["--where", "label=kaiming*"], ["bb", "cc"]),
        (["--where", "label=orthogonal", "--where", "label=kaiming_normal"], ["bb", "cc"]),
        (["--where", "label=zeros", "--where", "model=mlp", "--where", "run=b?-*"], ["bb"]),
        (["--where", "started=20*", "--where", "state=complete", "--sort", "run"], ["aa", "bb", "cc"]),
        (["--where", "label=kaiming"], []),
    ],
    ids=lambda value: " ".join(value),
)
def test_runs_are_chosen_and_sorted(arguments: list[str], wanted: list[str]) -> None:
    assert names(*arguments) == wanted


def test_what_no_run_has_is_said_with_what_there_is() -> None:
    result = winit("list", "runs", "--where", "state=complte", "--where", "model=mlp")
    assert (result.exit_code, result.stdout) == (0, "")
    said = " ".join(result.stderr.split())
    assert said == "none of 3 runs fits state=complte model=mlp; state is one of: complete; model is one of: lstm, mlp"


def test_the_table_has_no_column_of_labels() -> None:
    assert winit("list", "runs", "--where", "run=aa*").stdout.split()[:6] == [
        *("run", "state", "trials", "model", "data", "started")
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs", "--where", "stat=complete"], "runs are not chosen by 'stat'; did you mean 'state'?"),
        (["runs", "--where", "complete"], "--where complete: write KEY=VALUE, for example state=complete"),
        (["runs", "--where", "state="], "--where state=: write KEY=VALUE"),
        (["runs", "--sort", "strated"], "--sort strated: runs have no such order; did you mean 'started'?"),
        (["schemes", "--sort", "run"], "--where, --sort and --reverse are for winit list runs, not for winit list sch"),
        (["models", "--reverse"], "are for winit list runs, not for winit list models"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_refused(arguments: list[str], message: str) -> None:
    assert message in refused("list", *arguments)
